import { ownerOf, type Provider } from '../providers/provider.js';
import { usableProviders, type KnownProviders } from '../providers/resolve-provider.js';
import { belongsTo } from '../store/session-store.js';
import type { SessionOwner } from '../store/session.js';

/** The entry that a session belongs to; it may have been changed or removed since the sign-in. */
export function findOwner(known: KnownProviders, session: SessionOwner): Provider | undefined {
  return usableProviders(known).find((provider) => belongsTo(session, ownerOf(provider)));
}
