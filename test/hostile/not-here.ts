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
    id: 'CLI-09',
    what: 'an answer into a stdout that was closed before the start (`>&-`) is a failure',
    reason:
      'Node opens /dev/null in its place before the program runs; a full device and a reader that is gone are tested',
  },
  {
    id: 'CLI-14',
    what: 'line ends and NUL in the fields of git, kubectl and docker credential helpers',
    reason: 'no credential helper is built yet',
  },
  {
    id: 'CON-13',
    what: 'two versions of authcli, 50 processes each, on one store',
    reason:
      'there is no earlier version yet; what a newer one wrote is tested in test/hostile/concurrency.test.ts',
  },
  ...[
    ['DEV-01', 'the user code and the address are shown'],
    ['DEV-02', 'without an interval it is five seconds'],
    ['DEV-04', 'slow_down makes every later interval five seconds longer'],
    ['DEV-05', 'a Retry-After is waited for'],
    ['DEV-06', 'a denial ends the polling'],
    ['DEV-08', 'connections that time out make the interval longer'],
    ['DEV-09', 'any other error ends the polling'],
    ['DEV-10', 'an interval out of bounds is brought within them'],
    ['DEV-12', 'the user code is shown also where the address holds it'],
    ['DEV-13', 'authcli token starts no device request'],
    ['DEV-14', 'Ctrl-C ends the polling'],
    ['DEV-16', 'an answer without a device code is refused'],
    ['DEV-17', 'the device code is shown nowhere'],
  ].map(([id = '', what = '']) => ({ id, what, reason: 'there is no device flow yet' })),
  {
    id: 'TOK-21',
    what: 'the scheme of a DPoP challenge is compared without case',
    reason: 'the only resource that authcli asks is userinfo, with the proof from the start',
  },
];
