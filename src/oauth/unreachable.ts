import { AuthError, systemErrorCode } from '../errors.js';
import type { Connection } from './own-fetch.js';
import type { Proxy } from './proxy.js';
import type { Wire } from './wire.js';

const diagnosisMs = 3_000;

/** What stood between us and `url`, as a person sees it. */
export async function unreachable(
  url: URL,
  error: unknown,
  { proxy, certificate }: Connection,
  wire: Wire,
  isAnswerLost: boolean,
): Promise<AuthError> {
  const alert = alertOf(systemErrorCode(rootOf(error)));
  if (certificate !== undefined && alert !== undefined && aboutCertificate.test(alert)) {
    return new AuthError('protocol', `${url.host} refuses the client's certificate: ${alert}`, {
      hint: 'check which certificate the provider has of this client; ours is named in: authcli provider show',
      cause: error,
    });
  }
  const way = proxy === undefined ? url.host : `${url.host} through the proxy ${proxy.address.host}`;
  const advice = proxy === undefined ? 'check the connection' : `check the connection and ${proxy.variable}`;
  const { reason, hint } = (await describeCertificate(url, error, proxy, wire)) ?? {
    reason: reasonOf(error),
    hint: `${advice}, then run the same command again; nothing that is stored was changed`,
  };
  return new AuthError('network', `cannot reach ${way}: ${reason}`, { hint, cause: error, isAnswerLost });
}

/** Node says neither who issued a certificate that it refuses, nor since when it is no longer good. */
async function describeCertificate(
  url: URL,
  error: unknown,
  proxy: Proxy | undefined,
  { signal, now }: Wire,
): Promise<{ readonly reason: string; readonly hint: string } | undefined> {
  const isExpired = systemErrorCode(rootOf(error)) === 'CERT_HAS_EXPIRED';
  if (!isExpired && !isUntrusted(error)) return undefined;
  const { serverCertificates, expiryOf, issuerOf } = await import('./server-certificate.js');
  const limit = AbortSignal.any([signal, AbortSignal.timeout(diagnosisMs)]);
  const chain = await serverCertificates(url, proxy, limit);
  if (isExpired) {
    const end = expiryOf(chain, now());
    return {
      reason:
        end === undefined ? reasonOf(error) : `the server's certificate expired on ${end.toISOString()}`,
      hint: `those who run ${url.hostname} have to renew it, unless the clock of this machine is wrong: ${now().toISOString()}`,
    };
  }
  const issuer = issuerOf(chain);
  const by = issuer === undefined ? 'somebody whom' : `"${issuer}", whom`;
  return {
    reason: `its certificate was issued by ${by} this machine does not trust`,
    hint: 'if that is a CA of your own, NODE_EXTRA_CA_CERTS=FILE adds it; if not, somebody may be reading along',
  };
}

/** RFC 8446 6.2: what the server says before it closes the connection. */
function alertOf(code: string | undefined): string | undefined {
  const [, alert] = /^ERR_SSL_\w+?_ALERT_(\w+)$/.exec(code ?? '') ?? [];
  return alert?.toLowerCase().replaceAll('_', ' ');
}

/** The other alerts are about something else, whatever was presented. */
const aboutCertificate = /certificate|^(unknown ca|access denied|decrypt error)$/;

function isUntrusted(error: unknown): boolean {
  return untrusted.has(systemErrorCode(rootOf(error)) ?? '');
}

const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/** Node hides the reason of "fetch failed" in the cause, and several reasons (IPv6, IPv4) in an AggregateError. */
function rootOf(error: unknown): unknown {
  const seen = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return seen instanceof AggregateError ? seen.errors[0] : seen;
}

export function reasonOf(error: unknown): string {
  const first = rootOf(error);
  const code = systemErrorCode(first);
  if (code?.startsWith('HPE_')) return 'the answer is not HTTP';
  const alert = alertOf(code);
  if (alert !== undefined) return `the other side ends the TLS connection: ${alert}`;
  return (code && reasons[code]) ?? code ?? (first instanceof Error ? first.message : 'unknown failure');
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  EPROTO: 'the other side does not speak TLS',
  EAI_AGAIN: 'the host name cannot be looked up right now',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped half-way',
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet; check the clock of this machine",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host",
};
