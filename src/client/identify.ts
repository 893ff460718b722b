import { AuthError } from '../errors.js';
import type { Client } from '../oauth/configuration.js';
import type { TokenSet } from '../oauth/token-set.js';
import {
  claimsOfAnswer,
  fetchClaims,
  hasUserinfo,
  isAboutSomebodyElse,
  type Claims,
} from '../oauth/userinfo.js';
import {
  accountLabel,
  isAccount,
  isAddress,
  isSameName,
  type Account,
  type AccountName,
} from '../store/account.js';
import { accountOf, textClaim, withClaims } from './account-claims.js';
import type { ClientSurroundings } from './surroundings.js';

export interface Identity {
  readonly account: Account;
  /** The kind of sign-in, where the provider tells. */
  readonly acr: string | null;
}

/**
 * Who has signed in. OpenID Connect Core 5.4 lets a provider leave everything but the sub to userinfo, which is asked then.
 * @throws {AuthError} `denied` when it is somebody else than was expected; `network` when that cannot be found out
 */
export async function identify(
  client: Client,
  tokenSet: TokenSet,
  proofKey: string | null,
  expected: AccountName | undefined,
  surroundings: ClientSurroundings,
): Promise<Identity> {
  const claims = tokenSet.claims ?? (await askWho(client, tokenSet, proofKey, surroundings));
  const stated = accountOf(claims);
  const isAsked =
    tokenSet.claims !== undefined &&
    hasUserinfo(client) &&
    ((stated.email === null && stated.username === null) || isUndecided(stated, expected));
  const account = isAsked
    ? await completed(client, stated, { ...tokenSet, proofKey }, expected, surroundings)
    : stated;
  assertExpected(account, expected);
  return { account, acr: textClaim(claims, 'acr') };
}

/** A provider without ID tokens may still say who signed in; one that does not gets a session without a name. */
async function askWho(
  client: Client,
  tokenSet: TokenSet,
  proofKey: string | null,
  surroundings: ClientSurroundings,
): Promise<Claims | undefined> {
  const isSaidThere = client.userinfo !== undefined || client.tokenAnswer.idToken !== undefined;
  if (!isSaidThere || !hasUserinfo(client)) return claimsOfAnswer(client, tokenSet);
  return fetchClaims(client, { accessToken: tokenSet.accessToken, proofKey }, null, surroundings);
}

/** A failure costs the name that is shown, not the sign-in; but who is expected must be known before anything is kept. */
async function completed(
  client: Client,
  stated: Account,
  held: Parameters<typeof fetchClaims>[1],
  expected: AccountName | undefined,
  surroundings: ClientSurroundings,
): Promise<Account> {
  try {
    return withClaims(stated, await fetchClaims(client, held, stated.sub, surroundings));
  } catch (error) {
    surroundings.signal.throwIfAborted();
    if (!(error instanceof AuthError) || isAboutSomebodyElse(error)) throw error;
    if (expected !== undefined && isUndecided(stated, expected)) throw unknownPerson(expected, error);
    surroundings.trace(`the account is shown without userinfo: ${error.message}`);
    return stated;
  }
}

/** Whether what the ID token leaves out may be the name that is expected. */
function isUndecided(account: Account, expected: AccountName | undefined): boolean {
  if (expected === undefined || isAccount(account, expected)) return false;
  return (isAddress(expected.who) ? account.email : account.username) === null;
}

function unknownPerson({ who }: AccountName, cause: AuthError): AuthError {
  return new AuthError(
    'network',
    `it cannot be found out whether ${who} signed in: ${cause.message}; nothing was kept`,
    { remedy: { kind: 'advice', text: 'try again in a moment' }, cause },
  );
}

function assertExpected(account: Account, expected: AccountName | undefined): void {
  if (expected === undefined || isAccount(account, expected)) return;
  throw new AuthError('denied', `${mismatch(account, expected.who)}; nothing was kept`, {
    remedy: { kind: 'right_account', subject: account.sub },
  });
}

function mismatch(account: Account, who: string): string {
  const { sub, email, username } = account;
  if (email !== null && isSameName(email, who)) {
    return `${sub} signed in with the e-mail address ${email}, which the provider has not verified`;
  }
  if (username !== null && isSameName(username, who)) {
    return `${sub} signed in with the username ${username}, which need not be an e-mail address of that person`;
  }
  const unknown = isAddress(who) && email === null ? ', and the provider names no e-mail address' : '';
  return `${accountLabel(account)} signed in, but ${who} was expected${unknown}`;
}
