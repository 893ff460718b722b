import { existsSync } from 'node:fs';

import { accountNameAt } from '../client/account-name.js';
import { AuthClient } from '../client/auth-client.js';
import { findOwner } from '../client/find-owner.js';
import type { ClientSurroundings } from '../client/surroundings.js';
import { AuthError } from '../errors.js';
import type { Provider } from '../providers/provider.js';
import { providerNames, resolveProvider, type KnownProviders } from '../providers/resolve-provider.js';
import type { Remedy } from '../remedy.js';
import { distinctLabels, findNamed, isAccount } from '../store/account.js';
import { belongsTo, type StoredSession } from '../store/session-store.js';
import type { SessionSummary } from '../store/session.js';
import type { Asked } from './command.js';
import { remedyInWords } from './remedy-words.js';

/**
 * How the configuration has changed since the sign-in. `undefined` where the session's entry is as it was, and where it is that of
 * a project elsewhere, which counts in that project only.
 */
export function entryChange(known: KnownProviders, summary: SessionSummary): 'changed' | 'gone' | undefined {
  if (findOwner(known, summary) !== undefined) return undefined;
  const { provider, project } = summary;
  const isOfThisFolder = project === null || project.file === known.project?.path;
  if (!isOfThisFolder && existsSync(project.file)) return undefined;
  return providerNames(known).includes(provider) ? 'changed' : 'gone';
}

export type Chosen = { readonly provider: Provider } | { readonly fault: AuthError };

/** The provider that is meant; the fault, where there is none, counts only if no session has that name, either. */
export function resolveOrFault(known: KnownProviders, named: string | undefined): Chosen {
  try {
    return { provider: resolveProvider(known, named).provider };
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return { fault: error };
  }
}

/** The name that is meant, be there an entry of that name or not. */
export function meantName(
  known: KnownProviders,
  chosen: Chosen,
  named: string | undefined,
): string | undefined {
  if ('provider' in chosen) return chosen.provider.name;
  return named ?? known.project?.defaultProvider ?? known.defaultProvider;
}

/** The sessions of that name that the entry of today does not have. Without an entry those of projects elsewhere count, too. */
export function leftOf(
  name: string,
  sessions: readonly StoredSession[],
  known: KnownProviders,
): readonly StoredSession[] {
  const hasEntry = providerNames(known).includes(name);
  return sessions.filter(
    ({ summary }) => summary.provider === name && (!hasEntry || entryChange(known, summary) !== undefined),
  );
}

/** The ones that a command can mean: the account that is named, else the current one. Several, where several entries made them. */
export function narrowed(
  left: readonly StoredSession[],
  account: string | undefined,
  client: AuthClient,
): readonly StoredSession[] {
  const name = account === undefined ? undefined : accountNameAt(undefined, account);
  const named = name === undefined ? left : left.filter(({ summary }) => isAccount(summary.account, name));
  const [first] = named;
  if (first === undefined) return [];
  if (!named.every(({ summary }) => belongsTo(summary, first.summary))) return named;
  if (name !== undefined) return [findNamed(named, name) ?? first];
  const current = client.currentFileNames(client.findSessions());
  return [named.find(({ fileName }) => current.has(fileName)) ?? first];
}

/** One line for each session whose entry has changed: who is still signed in, and the command that ends that. */
export function leftNotices(
  sessions: readonly StoredSession[],
  known: KnownProviders,
  asked: Asked,
): readonly string[] {
  const label = distinctLabels(sessions);
  return sessions.flatMap((session) => {
    const { summary } = session;
    const change = entryChange(known, summary);
    if (change === undefined) return [];
    const what = change === 'gone' ? 'is not configured any more' : 'was changed since';
    const command = remedyInWords(signOutOf(session, sessions), asked);
    return `still signed in to ${summary.provider}, which ${what}, as ${label(summary)}: ${command}`;
  });
}

/** Of several by one name the account tells which is meant, and where it does not, all of them are. */
function signOutOf({ summary, fileName }: StoredSession, sessions: readonly StoredSession[]): Remedy {
  const { provider, account } = summary;
  const others = sessions.filter(
    (other) => other.summary.provider === provider && other.fileName !== fileName,
  );
  if (others.length === 0) return { kind: 'logout', provider };
  const isDistinct = others.every((other) => other.summary.account.sub !== account.sub);
  if (account.sub === null || !isDistinct) return { kind: 'logout', provider, isAll: true };
  return { kind: 'logout', provider, account: account.sub };
}

/** The same failure where sessions of that name are left: they give no tokens until their entry is there again. */
export function withLeftSessions(
  fault: AuthError,
  name: string,
  surroundings: ClientSurroundings,
  asked: Asked,
): AuthError {
  const left = sessionsNamed(name, surroundings);
  const [first] = left;
  if (first === undefined) return fault;
  const { issuer, clientId, endpoints, project } = first.summary;
  const isPlain = left.length === 1 && endpoints === null && project === null;
  const logout = remedyInWords({ kind: 'logout', provider: name, isAll: left.length > 1 }, asked);
  const add = remedyInWords({ kind: 'add_provider', name, issuer, clientId }, asked);
  const message = `${fault.message}; a session of that name was made with an entry that is not there any more`;
  const hint = isPlain ? `${add}; or sign out: ${logout}` : `sign out: ${logout}`;
  return new AuthError(fault.code, message, { hint, cause: fault });
}

/** None where they cannot be read: then the first failure is told, not the second. */
function sessionsNamed(name: string, surroundings: ClientSurroundings): readonly StoredSession[] {
  try {
    const { sessions } = new AuthClient(surroundings).getSessions();
    return sessions.filter(({ summary }) => summary.provider === name);
  } catch (error) {
    if (error instanceof AuthError) return [];
    throw error;
  }
}
