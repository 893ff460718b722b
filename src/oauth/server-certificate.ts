import { once } from 'node:events';
import { connect, type DetailedPeerCertificate } from 'node:tls';

import type { Proxy } from './proxy.js';
import { tlsOptions } from './tunnel.js';

/** A server's certificates as far as it sent them, its own first. */
export type CertificateChain = readonly DetailedPeerCertificate[];

/** What a server that was refused has to show: it is given a handshake, and nothing is sent to it. */
export async function serverCertificates(
  url: URL,
  proxy: Proxy | undefined,
  signal: AbortSignal,
): Promise<CertificateChain> {
  try {
    const socket = connect({ ...(await tlsOptions(url, proxy, signal)), rejectUnauthorized: false });
    try {
      await once(socket, 'secureConnect', { signal });
      return chainOf(socket.getPeerCertificate(true));
    } finally {
      socket.destroy();
    }
  } catch {
    return [];
  }
}

/** Undefined where the server does not say. */
export function issuerOf(chain: CertificateChain): string | undefined {
  const last = chain.at(-1);
  return last && [last.issuer.CN, last.issuer.O].flat().filter(Boolean).join(', ');
}

/** When the first of them expired that did; undefined where none has. */
export function expiryOf(chain: CertificateChain, now: Date): Date | undefined {
  return chain.map(({ valid_to: end }) => new Date(end)).find((end) => end < now);
}

/** A root is its own issuer. */
function chainOf(certificate: DetailedPeerCertificate): CertificateChain {
  const chain: DetailedPeerCertificate[] = [];
  const seen = new Set<string>();
  for (let at = certificate; !seen.has(at.fingerprint256); at = at.issuerCertificate) {
    seen.add(at.fingerprint256);
    chain.push(at);
    if (!at.issuerCertificate) break;
  }
  return chain;
}
