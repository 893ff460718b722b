import { ownerOf, type Provider } from '../providers/provider.js';
import { usableProvider, type KnownProviders } from '../providers/resolve-provider.js';
import type { SessionOwner } from '../session-owner.js';
import { belongsTo } from '../store/session-store.js';

/** The entry that a session belongs to; it may have been changed or removed since the sign-in. */
export function findOwner(known: KnownProviders, session: SessionOwner): Provider | undefined {
  const provider = usableProvider(known, session.provider);
  return provider && belongsTo(session, ownerOf(provider)) ? provider : undefined;
}
