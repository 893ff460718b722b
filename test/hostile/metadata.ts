import type { Answer, Provider } from '../support/provider.js';

export const wellKnown = '/.well-known/openid-configuration';
export const wellKnownOauth = '/.well-known/oauth-authorization-server';

export function jsonAnswer(body: string): Answer {
  return { status: 200, headers: { 'content-type': 'application/json' }, body };
}

/** The provider's own metadata, each member in `changes` replaced; one that is undefined there is left out. */
export async function changedMetadata(
  { issuer }: Provider,
  changes: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const response = await fetch(issuer + wellKnown);
  const metadata: unknown = await response.json();
  if (typeof metadata !== 'object') throw new Error('the provider has no metadata');
  return jsonAnswer(JSON.stringify({ ...metadata, ...changes }));
}
