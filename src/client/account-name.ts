import type { Provider } from '../providers/provider.js';
import type { AccountName } from '../store/account.js';

/** At Entra ID a username is a name in a domain that its tenant has proved to own; elsewhere people may choose it. */
export function accountNameAt(provider: Provider | undefined, who: string): AccountName {
  return { who, hasVerifiedUsernames: provider?.metadata?.issuer === 'tenant' };
}
