import { getDPoPHandle, type Configuration, type DPoPHandle } from 'openid-client';

import { importProofKeyPair } from './signing-key.js';

/** Proof of possession (RFC 9449) for each request; its nonces live as long as this. */
export async function proofOf(
  proofKey: string | null | undefined,
  configuration: Configuration,
): Promise<{ readonly DPoP?: DPoPHandle }> {
  if (proofKey === null || proofKey === undefined) return {};
  return { DPoP: getDPoPHandle(configuration, await importProofKeyPair(proofKey)) };
}
