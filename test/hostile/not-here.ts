export interface NotHere {
  readonly id: string;
  readonly what: string;
  readonly reason: string;
}

/** Cases that no test on Linux can show, with the reason: the summary and `docs/security.md` list them. */
export const notHere: readonly NotHere[] = [
  {
    id: 'BRW-17',
    what: 'a URL with & and % reaches the browser whole through cmd, PowerShell and WSL',
    reason: 'needs Windows and WSL; the argument vectors are tested in test/platform/browser.test.ts',
  },
  {
    id: 'LST-05',
    what: 'a provider that accepts only `localhost` while somebody holds the port on [::1]',
    reason: 'no provider can ask for another host than 127.0.0.1 yet',
  },
];
