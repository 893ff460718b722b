import { AuthError } from '../errors.js';
import type { Client } from '../oauth/configuration.js';
import type { TokenKind } from '../oauth/revocation.js';
import type { Provider } from '../providers/provider.js';
import type { OpenSession, SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import type { Session, SessionSummary } from '../store/session.js';
import { clientAuthentication } from './client-authentication.js';
import { reconnect } from './connect.js';
import { limited, noAnswer, refreshTokensOf } from './revocation-limits.js';
import type { ClientSurroundings } from './surroundings.js';

export interface SignOutRequest {
  readonly revoke: boolean;
  /** As it is configured now; without it the session is revoked where its issuer publishes that it can be. */
  readonly provider?: Provider | undefined;
}

export interface SignedOut {
  readonly session: SessionSummary;
  readonly revoked: readonly TokenKind[];
  readonly notRevoked: readonly TokenKind[];
  /** Why something was not revoked that should have been. */
  readonly reason: string | null;
}

export async function signOut(
  stored: StoredSession,
  { revoke, provider }: SignOutRequest,
  store: SessionStore,
  surroundings: ClientSurroundings,
): Promise<SignedOut> {
  const writer = new SessionWriter(store);
  // A refresh may have ended meanwhile: only what lies there now can be revoked.
  return writer.exclusively(stored.fileName, async (latest) => {
    if (latest === undefined) return { session: stored.summary, revoked: [], notRevoked: [], reason: null };
    writer.assertRemovable();
    const revocation = revoke
      ? await openAndRevoke(latest, provider, store, writer, surroundings)
      : skipped(latest.summary, '--no-revoke');
    writer.remove(latest);
    return { session: latest.summary, ...revocation };
  });
}

type Revocation = Omit<SignedOut, 'session'>;

/** If the key is lost, the session is forgotten; if it is only locked away, the session is kept, for the key will be there again. */
async function openAndRevoke(
  latest: StoredSession,
  provider: Provider | undefined,
  store: SessionStore,
  writer: SessionWriter,
  surroundings: ClientSurroundings,
): Promise<Revocation> {
  let open: OpenSession;
  try {
    open = await store.open(latest);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    if (error.code === 'login_required') return skipped(latest.summary, error.message);
    throw withWayToForget(error);
  }
  const restore = writer.beginSignOut(open, surroundings.now());
  const known = providerOf(open.session, provider);
  let client: Client;
  let wire: ClientSurroundings;
  try {
    const authentication = await clientAuthentication(known, limited(surroundings, noProof));
    wire = limited(surroundings, noAnswer);
    client = await reconnect(known, authentication, wire);
  } catch (error) {
    if (error instanceof AuthError) return skipped(open.session, error.message);
    restore();
    throw error;
  }
  // From the first request on the provider may have revoked a token, even if no answer comes: nothing is restored any more.
  return revokeTokens(open.session, client, wire);
}

/** A session can be forgotten without its key. */
function withWayToForget(error: AuthError): AuthError {
  return new AuthError(error.code, error.message, {
    remedy: { kind: 'logout', forgetOnly: true, otherwise: error.hint },
    cause: error,
  });
}

async function revokeTokens(session: Session, client: Client, wire: ClientSurroundings): Promise<Revocation> {
  const { canRevoke, revoke } = await import('../oauth/revocation.js');
  if (!canRevoke(client)) return skipped(session, 'the provider has no revocation endpoint');
  const revoked = new Set<TokenKind>();
  const notRevoked = new Set<TokenKind>();
  let reason: string | null = null;
  for (const { kind, token } of tokensOf(session)) {
    wire.conceal(token);
    try {
      if ((await revoke(client, token, kind, wire)) === 'revoked') {
        revoked.add(kind);
        continue;
      }
      notRevoked.add(kind);
      // A provider that revokes no access tokens leaves nothing to do: they end by themselves, and soon.
      if (kind === 'refresh_token') reason ??= 'the provider does not revoke tokens of this kind';
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      notRevoked.add(kind);
      reason ??= error.message;
    }
  }
  return { revoked: [...revoked], notRevoked: [...notRevoked], reason };
}

const noProof = 'the command for the client secret does not answer';

/** A session outlives its entry in the configuration. */
function providerOf(
  { provider: name, issuer, clientId }: Session,
  configured: Provider | undefined,
): Provider {
  return configured ?? { name, issuer, clientId };
}

/** The refresh token first: with it gone no new access token can come into being (RFC 7009 2.1). */
function tokensOf(session: Session): { kind: TokenKind; token: string }[] {
  return [
    ...refreshTokensOf(session).map((token) => ({ kind: 'refresh_token' as const, token })),
    ...[session.accessToken, ...Object.values(session.otherAccessTokens)].map(({ value }) => ({
      kind: 'access_token' as const,
      token: value,
    })),
  ];
}

function skipped({ refreshable }: SessionSummary, reason: string): Revocation {
  return {
    revoked: [],
    notRevoked: refreshable ? ['refresh_token', 'access_token'] : ['access_token'],
    reason,
  };
}
