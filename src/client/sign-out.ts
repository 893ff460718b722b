import { AuthError } from '../errors.js';
import type { TokenKind } from '../oauth/revocation.js';
import type { Provider } from '../providers/provider.js';
import type { SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import type { Session, SessionSummary } from '../store/session.js';
import { timeLimit } from '../time-limit.js';
import { connect } from './connect.js';
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

/** Nobody who signs out waits for a provider that does not answer. */
const longestRevocationMs = 8_000;

type Revocation = Omit<SignedOut, 'session'>;

/** Whose key is gone can still be forgotten; whose key is only locked away cannot, for it will be there again. */
async function openAndRevoke(
  latest: StoredSession,
  provider: Provider | undefined,
  store: SessionStore,
  writer: SessionWriter,
  surroundings: ClientSurroundings,
): Promise<Revocation> {
  try {
    const open = await store.open(latest);
    const restore = writer.beginSignOut(open, surroundings.now());
    const revoked = new Set<TokenKind>();
    try {
      const silent = new AuthError('timeout', 'the provider does not answer');
      const signal = timeLimit(surroundings.signal, longestRevocationMs, silent);
      const known = providerOf(open.session, provider);
      return await revokeTokens(open.session, known, revoked, { ...surroundings, signal });
    } catch (error) {
      if (revoked.size === 0) restore();
      throw error;
    }
  } catch (error) {
    if (error instanceof AuthError && error.code === 'login_required')
      return skipped(latest.summary, error.message);
    throw error;
  }
}

async function revokeTokens(
  session: Session,
  provider: Provider,
  revoked: Set<TokenKind>,
  surroundings: ClientSurroundings,
): Promise<Revocation> {
  try {
    const { canRevoke, revoke } = await import('../oauth/revocation.js');
    const client = await connect(provider, surroundings);
    if (!canRevoke(client)) return skipped(session, 'the provider has no revocation endpoint');
    const notRevoked = new Set<TokenKind>();
    let reason: string | null = null;
    for (const { kind, token } of tokensOf(session)) {
      surroundings.conceal(token);
      try {
        if ((await revoke(client, token, kind, surroundings)) === 'revoked') {
          revoked.add(kind);
          continue;
        }
        notRevoked.add(kind);
        // A provider that revokes no access tokens leaves nothing to do: they end by themselves, and soon.
        if (kind === 'refresh_token') reason ??= 'the provider does not revoke tokens of this kind';
      } catch (error) {
        notRevoked.add(kind);
        reason ??= reasonOf(error);
      }
    }
    return { revoked: [...revoked], notRevoked: [...notRevoked], reason };
  } catch (error) {
    return skipped(session, reasonOf(error));
  }
}

/** A session outlives its entry in the configuration. */
function providerOf(
  { provider: name, issuer, clientId }: Session,
  configured: Provider | undefined,
): Provider {
  return configured ?? { name, issuer, clientId };
}

/** The refresh token first: with it gone no new access token can come into being (RFC 7009 2.1). */
function tokensOf({
  refreshToken,
  unverifiedRefreshToken,
  accessToken,
  otherAccessTokens,
}: Session): { kind: TokenKind; token: string }[] {
  return [
    ...[unverifiedRefreshToken, refreshToken].flatMap((token) =>
      token === null ? [] : [{ kind: 'refresh_token' as const, token }],
    ),
    ...[accessToken, ...Object.values(otherAccessTokens)].map(({ value }) => ({
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

/** What is no trouble with the provider must not end in a forgotten session that lives on over there. */
function reasonOf(error: unknown): string {
  if (error instanceof AuthError && ['network', 'protocol', 'denied', 'timeout'].includes(error.code)) {
    return error.message;
  }
  throw error;
}
