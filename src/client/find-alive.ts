import { AuthError } from '../errors.js';
import type { Provider } from '../providers/provider.js';
import type { SessionStore, StoredSession } from '../store/session-store.js';
import type { Session } from '../store/session.js';
import { storedClaims } from './acquired-token.js';
import type { AuthClient, SessionFilter } from './auth-client.js';
import type { InteractiveRequest } from './interactive.js';
import { requestDigest } from './request-digest.js';

const clockToleranceSeconds = 300;

/**
 * A session that gives tokens without a person, if need be by a refresh, and is what the sign-in that is asked for would bring;
 * undefined where only a person can help.
 */
export async function findAlive(
  provider: Provider,
  request: InteractiveRequest,
  filter: SessionFilter,
  client: AuthClient,
  store: SessionStore,
  now: Date,
): Promise<StoredSession | undefined> {
  const stored = client.findSession(provider, filter);
  if (stored === undefined || stored.summary.ended !== null) return undefined;
  const isForApi = request.resource !== undefined || request.audience !== undefined;
  try {
    const { session } = await store.open(stored);
    const isSameRequest = session.requestDigest === requestDigest(provider, request);
    if (!meets(session, request, isSameRequest, now)) return undefined;
    // A session of the same request holds the token for that API as its own.
    const { resource, audience } = isSameRequest ? {} : request;
    await client.acquireTokenSilent(provider, {
      ...filter,
      resource,
      audience,
      kind: 'access',
      minTtlMs: 60_000,
      forceRefresh: false,
    });
    return client.findSession(provider, filter);
  } catch (error) {
    // A provider may grant in a sign-in what it refuses to add in a refresh (RFC 8707 2.2).
    const isForPerson =
      error instanceof AuthError &&
      (error.code === 'login_required' || (error.code === 'protocol' && isForApi));
    if (isForPerson) return undefined;
    throw error;
  }
}

/** A session of the same request meets it; only its age may not. */
function meets(session: Session, request: InteractiveRequest, isSameRequest: boolean, now: Date): boolean {
  if (request.maxAgeSeconds !== undefined && !isRecent(session, request.maxAgeSeconds, now)) return false;
  if (isSameRequest) return true;
  if (request.dpop && session.proofKey === null) return false;
  const granted = session.scope?.split(' ') ?? [];
  const hasScope = (request.scope?.split(' ') ?? []).every((scope) => granted.includes(scope));
  return hasScope && hasAcr(session, request.acrValues) && !isBeyondComparison(request);
}

/** A sign-in of the future was made by another clock, so its age is not known. */
function isRecent({ idToken }: Session, maxAgeSeconds: number, now: Date): boolean {
  const { auth_time: signedInAt } = idToken === null ? {} : storedClaims(idToken);
  if (typeof signedInAt !== 'number') return false;
  const age = now.getTime() / 1000 - signedInAt;
  return age >= -clockToleranceSeconds && age <= maxAgeSeconds;
}

function hasAcr({ idToken }: Session, acrValues: string | undefined): boolean {
  if (acrValues === undefined) return true;
  const { acr } = idToken === null ? {} : storedClaims(idToken);
  return typeof acr === 'string' && acrValues.split(' ').includes(acr);
}

/** A session does not show whether it meets these. */
function isBeyondComparison({
  claims,
  consentScope,
  parameters,
  tokenParameters = {},
}: InteractiveRequest): boolean {
  const further = Object.keys(parameters).filter((name) => !aboutTheVisit.has(name));
  return (
    claims !== undefined ||
    consentScope !== undefined ||
    further.length > 0 ||
    Object.keys(tokenParameters).length > 0
  );
}

/** They say how the person is asked, not what for. */
const aboutTheVisit: ReadonlySet<string> = new Set(['domain_hint', 'ui_locales']);
