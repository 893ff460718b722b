import { accessTokenHash, claimsOf, sign, type Claims, type SigningKey } from '../support/forged-id-token.js';
import type { Newcomer } from '../support/newcomer.js';
import type { Answer } from '../support/provider.js';
import type { Outcome } from '../support/run.js';
import { openedSession, sessionFiles } from '../support/sessions.js';
import { jsonAnswer } from './metadata.js';
import { pendingLogin } from './pending-login.js';

export const accessToken = 'the-access-token';

/** Turns the claims that a good ID token would have into an ID token, good or not. */
export type Forge = (good: Claims) => string;

export const signedBy =
  (key: SigningKey, header?: object): Forge =>
  (good) =>
    sign(good, key, { ...header });

export function keySet(...keys: readonly unknown[]): Answer {
  return jsonAnswer(JSON.stringify({ keys }));
}

/** An access token that has expired already, and no new refresh token. */
export const expiredToken = jsonAnswer('{"access_token":"expired","token_type":"bearer","expires_in":0}');

function tokenSet(idToken: string): Answer {
  const tokens = { access_token: accessToken, refresh_token: 'the-refresh-token', id_token: idToken };
  return jsonAnswer(JSON.stringify({ ...tokens, token_type: 'bearer' }));
}

export interface ForgedSignIn {
  readonly exitCode: number | null;
  readonly stdout: string;
  /** On stderr, after the address of the sign-in. */
  readonly said: string;
  /** How many are kept. */
  readonly sessions: number;
}

/** A sign-in with the built program at a provider whose token endpoint answers with what `forge` makes. */
export async function forgedSignIn(
  { acme, machine }: Newcomer,
  forge: Forge,
  ...options: readonly string[]
): Promise<ForgedSignIn> {
  const login = await pendingLogin(machine, ['-q', ...options]);
  const now = Math.floor(Date.now() / 1000);
  const idToken = forge({
    iss: acme.issuer,
    aud: 'cli',
    sub: 'jane',
    nonce: login.authorizationUrl.searchParams.get('nonce'),
    iat: now,
    exp: now + 3600,
    at_hash: accessTokenHash(accessToken),
  });
  acme.answerNext('/token', tokenSet(idToken));
  const response = new URLSearchParams({ code: 'a-code', state: login.state, iss: acme.issuer });
  await fetch(`${login.redirectUri.href}?${response.toString()}`);
  const { exitCode, stdout, stderr } = await login.outcome;
  const said = stderr.replace(`\n  ${login.authorizationUrl.href}\n\n`, '');
  return { exitCode, stdout, said, sessions: sessionFiles(machine).length };
}

/** A refresh with the built program, answered with what `forge` makes of the session's own ID token. */
export async function forgedRefresh({ acme, machine }: Newcomer, forge: Forge): Promise<Outcome> {
  const now = Math.floor(Date.now() / 1000);
  const own: Claims = claimsOf(openedSession(machine).idToken ?? '');
  const idToken = forge({ ...own, iat: now, exp: now + 3600, at_hash: accessTokenHash(accessToken) });
  acme.answerNext('/token', tokenSet(idToken));
  return machine.spawn(['token', '--force-refresh']);
}
