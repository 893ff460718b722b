import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { serveRefresh } from '../../../src/client/refresh-helper.js';
import { overlookCanaries } from '../../support/canaries.js';
import { newcomer } from '../../support/newcomer.js';
import type { Answer, Provider } from '../../support/provider.js';
import type { Machine, Outcome } from '../../support/run.js';
import { jwk } from './signed-jwt.js';

/** One provider and one person's machine, on which many inputs are tried. */
export interface Bench {
  readonly acme: Provider;
  readonly machine: Machine;
  /** `authcli login`; the browser comes back with a code at once. `tokenAnswer` is asked when the nonce is known. */
  signIn(tokenAnswer: (nonce: string) => Answer, ...argv: readonly string[]): Promise<Outcome>;
  /** `authcli token`, its refresh helper in this process. */
  token(...argv: readonly string[]): Promise<Outcome>;
  /** All that is kept of sessions, as one text that can be compared. */
  stored(): string;
  /** Puts back what `stored` told. */
  restore(stored: string): void;
}

export const code = 'canary-code-4f1b';
export const json = { 'content-type': 'application/json' };

export async function newBench(): Promise<Bench> {
  overlookCanaries();
  const { acme, machine } = await newcomer({ AUTHCLI_STORE: 'file' }, { idTokenSigningAlg: 'ES256' });
  acme.answerAlways('/jwks', { status: 200, headers: json, body: JSON.stringify({ keys: [jwk] }) });
  const sessions = join(machine.folder, 'state', 'sessions');
  return {
    acme,
    machine,
    signIn: (tokenAnswer, ...argv) =>
      machine.run(['login', '-q', '--timeout', '20s', ...argv], {
        openBrowser: async (url) => {
          acme.answerAlways('/token', tokenAnswer(url.searchParams.get('nonce') ?? ''));
          fetch(authorizationResponse(url, acme)).then(
            (page) => page.text(),
            () => {},
          );
          return { kind: 'launched' };
        },
      }),
    token: (...argv) =>
      machine.run(['token', ...argv], {
        askRefreshHelper: (request) =>
          serveRefresh(request, {
            ownership: { uid: getuid?.(), warn: () => {} },
            locking: { platform: 'linux' as const, notice: () => {} },
            now: () => new Date(),
            env: {},
          }),
      }),
    stored: () => JSON.stringify(filesIn(sessions)),
    restore: (stored) => {
      const files: Readonly<Record<string, string>> = JSON.parse(stored);
      for (const name of Object.keys(filesIn(sessions))) rmSync(join(sessions, name));
      for (const [name, text] of Object.entries(files))
        writeFileSync(join(sessions, name), text, { mode: 0o600 });
    },
  };
}

function filesIn(folder: string): Readonly<Record<string, string>> {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const ours = names.filter((name) => !/\.(lock|queue)$/.test(name)).toSorted();
  return Object.fromEntries(ours.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

function authorizationResponse(authorizationUrl: URL, { issuer }: Provider): URL {
  const { searchParams } = authorizationUrl;
  const url = new URL(searchParams.get('redirect_uri') ?? '');
  url.search = new URLSearchParams({ code, state: searchParams.get('state') ?? '', iss: issuer }).toString();
  return url;
}
