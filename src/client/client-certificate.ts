import { AuthError } from '../errors.js';
import type { ClientCertificate } from '../oauth/mutual-tls.js';
import type { Provider } from '../providers/provider.js';
import type { ClientSurroundings } from './surroundings.js';

const use = { name: "client's certificate", option: '--force --client-cert PATH' };
const useOfKey = {
  name: "key of the client's certificate",
  option: '--force --client-cert PATH --client-cert-key PATH',
};

/** Fetches what the client presents in the TLS handshake from where the configuration says that it is. */
export async function clientCertificate(
  { name, issuer, client: { certificate } = {} }: Provider,
  { readSecret, conceal, signal, now }: ClientSurroundings,
): Promise<ClientCertificate> {
  assertOverTls(issuer);
  if (certificate === undefined) {
    throw new AuthError('usage', `${name} authenticates with a certificate, and has none`, {
      hint: `name a file with the certificate: authcli provider add ${name} --force … --client-cert PATH`,
    });
  }
  const { file, key = file } = certificate;
  const text = await readSecret({ file }, signal, use);
  const keyText = key === file ? text : await readSecret({ file: key }, signal, useOfKey);
  conceal(keyText);
  const { parseClientCertificate } = await import('../oauth/client-certificate.js');
  const parsed = parseClientCertificate({ text, place: file }, { text: keyText, place: key }, now());
  conceal(parsed.key);
  return parsed;
}

/** @throws {AuthError} `usage` where there is no handshake to present a certificate in */
export function assertOverTls(issuer: string): void {
  if (new URL(issuer).protocol === 'https:') return;
  throw new AuthError('usage', `a certificate cannot be presented to ${issuer}: it is plain http`, {
    hint: 'use the https address of the issuer, or another way to authenticate: --client-auth METHOD',
  });
}
