import type { Provider } from './provider.js';

/** Those that were sent, in order. With a strict provider, one that is there twice has cost the session. */
export function refreshTokensUsed(provider: Provider): string[] {
  return provider.requestsTo('/token').flatMap(({ parameters }) => parameters['refresh_token'] ?? []);
}
