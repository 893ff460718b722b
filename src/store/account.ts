import { AuthError } from '../errors.js';
import { oneLine } from '../remote-text.js';

/** Who signed in. A provider without ID tokens names nobody: then `sub` is null. */
export interface Account {
  readonly sub: string | null;
  readonly username: string | null;
  readonly email: string | null;
  readonly name: string | null;
  /** OpenID Connect Core 5.1; null where the provider does not say. */
  readonly emailVerified: boolean | null;
}

/** How a person names an account: a sub, an e-mail address or a username. */
export interface AccountName {
  readonly who: string;
  /** The provider has verified that a username with an `@` is an address of that person. */
  readonly hasVerifiedUsernames: boolean;
}

interface Named {
  readonly provider: string;
  readonly account: Account;
}

/** The account as every answer in JSON has it. */
export function publicAccount({ sub, username, email, name }: Account): object {
  return { sub, username, email, name };
}

export function isAccount(account: Account, name: AccountName): boolean {
  return account.sub === name.who || isKnownAs(account, name);
}

function isKnownAs({ email, emailVerified, username }: Account, name: AccountName): boolean {
  if (email !== null && emailVerified !== false && isSameName(email, name.who)) return true;
  if (username === null || !isSameName(username, name.who)) return false;
  // At most providers people choose their usernames, and may choose the address of somebody else.
  return name.hasVerifiedUsernames || !isAddress(name.who);
}

export function isAddress(who: string): boolean {
  return /.@./.test(who);
}

/** Without regard to case and to how Unicode composes a letter; the same in every locale. */
export function isSameName(one: string, other: string): boolean {
  return folded(one) === folded(other);
}

/** Composed at the end: a small letter may have a composed form where its capital has none. */
function folded(name: string): string {
  return name.toLowerCase().normalize('NFC');
}

/**
 * The session of the account that is named, among those of one provider. A sub goes before everything else, because it is what
 * a person is told to use where the rest is ambiguous.
 * @throws {AuthError} `usage` when several accounts are known by that name
 */
export function findNamed<T extends { readonly summary: Named }>(
  sessions: readonly T[],
  name: AccountName,
): T | undefined {
  const bySub = sessions.find(({ summary }) => summary.account.sub === name.who);
  if (bySub !== undefined) return bySub;
  const [first, ...others] = sessions.filter(({ summary }) => isKnownAs(summary.account, name));
  if (first === undefined || others.length === 0) return first;
  const subjects = [first, ...others].flatMap(({ summary }) => summary.account.sub ?? []);
  throw new AuthError(
    'usage',
    `several accounts of ${first.summary.provider} are known as ${name.who}: ${subjects.join(', ')}`,
    { remedy: { kind: 'choose_account', subjects } },
  );
}

/** How a person would name the account. */
export function accountLabel(account: Account): string {
  return account.email ?? account.username ?? account.name ?? account.sub ?? 'unknown account';
}

/** How each account of these sessions is shown: with the sub behind it where another one of that provider looks like it. */
export function distinctLabels(sessions: readonly { readonly summary: Named }[]): (named: Named) => string {
  const subjects = new Map<string, Set<string | null>>();
  for (const { summary } of sessions) {
    const look = lookOf(summary);
    subjects.set(look, (subjects.get(look) ?? new Set()).add(summary.account.sub));
  }
  return (named) => {
    const alike = subjects.get(lookOf(named)) ?? new Set();
    const hasDouble = alike.size > (alike.has(named.account.sub) ? 1 : 0);
    return hasDouble ? labelWithSub(named.account) : accountLabel(named.account);
  };
}

export function distinctLabel(named: Named, sessions: readonly { readonly summary: Named }[]): string {
  return distinctLabels(sessions)(named);
}

export function labelWithSub(account: Account): string {
  const label = accountLabel(account);
  return account.sub === null || label === account.sub ? label : `${label} (sub ${account.sub})`;
}

/** As it is printed: what has no width is left out there. */
function lookOf({ provider, account }: Named): string {
  return `${provider} ${folded(oneLine(accountLabel(account)))}`;
}
