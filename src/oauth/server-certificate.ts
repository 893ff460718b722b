import { once } from 'node:events';
import { connect, type DetailedPeerCertificate, type PeerCertificate } from 'node:tls';

import type { Proxy } from './proxy.js';
import { tlsOptions } from './tunnel.js';

/** Who vouches for the certificate of a server that was refused: it is shown a handshake, and nothing is sent to it. */
export async function certificateIssuer(
  url: URL,
  proxy: Proxy | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const socket = connect({ ...(await tlsOptions(url, proxy, signal)), rejectUnauthorized: false });
    try {
      await once(socket, 'secureConnect', { signal });
      const { issuer } = endOfChain(socket.getPeerCertificate(true));
      return [issuer.CN, issuer.O].flat().filter(Boolean).join(', ');
    } finally {
      socket.destroy();
    }
  } catch {
    return undefined;
  }
}

/** As far as the server sent it; a root is its own issuer. */
function endOfChain(certificate: DetailedPeerCertificate): PeerCertificate {
  const seen = new Set<string>();
  let last = certificate;
  while (last.issuerCertificate && !seen.has(last.fingerprint256)) {
    seen.add(last.fingerprint256);
    last = last.issuerCertificate;
  }
  return last;
}
