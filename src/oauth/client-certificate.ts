import { X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';

import { AuthError, systemErrorCode } from '../errors.js';
import { shellWord } from '../remote-text.js';
import type { ClientCertificate } from './mutual-tls.js';
import { readPrivateKey, type Fault } from './private-key.js';

/** What a file holds, and where it is. */
interface Named {
  readonly text: string;
  readonly place: string;
}

/** @throws {AuthError} `usage` where no server could accept it */
export function parseClientCertificate(certificate: Named, key: Named, now: Date): ClientCertificate {
  const refuse = (fault: Fault) => unusable(certificate.place, fault);
  const found = readCertificates(certificate.text, refuse, certificate.place);
  const privateKey = readPrivateKey(key.text, key.place, ({ reason, hint }) =>
    unusable(key.place, { reason, hint: hint ?? nameKey }),
  );
  const own = found.find((one) => belongs(privateKey, one));
  if (own === undefined) {
    throw refuse({
      reason: `the private key${key.place === certificate.place ? '' : ` in ${key.place}`} belongs to another certificate`,
      hint: nameKey,
    });
  }
  assertCurrent(own, now, refuse);
  const chain = [own, ...found.filter((one) => one !== own)].map(String).join('');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  assertStrong({ chain, key: pem }, refuse);
  return { chain, key: pem };
}

/** OpenSSL has a limit below which it shows no certificate; it would say so only when a connection is made. */
function assertStrong({ chain, key }: ClientCertificate, refuse: (fault: Fault) => AuthError): void {
  try {
    createSecureContext({ cert: chain, key });
  } catch (error) {
    const code = systemErrorCode(error)?.replace(/^ERR_O?SSL_/, '') ?? 'unknown failure';
    throw refuse({ reason: `OpenSSL does not take it: ${code.toLowerCase().replaceAll('_', ' ')}` });
  }
}

function readCertificates(
  text: string,
  refuse: (fault: Fault) => AuthError,
  place: string,
): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  if (blocks.length === 0) {
    throw refuse(
      text.includes('-----BEGIN ')
        ? { reason: 'it holds no certificate' }
        : {
            reason: 'it is not in PEM form',
            hint: `convert it: openssl pkcs12 -in ${shellWord(place)} -nodes -out PATH, or openssl x509 -inform DER -in ${shellWord(place)} -out PATH`,
          },
    );
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    throw refuse({ reason: 'a certificate in it is damaged' });
  }
}

/** False also where the two are not even of one kind. */
function belongs(key: KeyObject, certificate: X509Certificate): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}

function assertCurrent(
  { validFrom, validTo }: X509Certificate,
  now: Date,
  refuse: (fault: Fault) => AuthError,
): void {
  const [begin, end] = [new Date(validFrom), new Date(validTo)];
  if (end < now) {
    throw refuse({
      reason: `it expired on ${end.toISOString()}`,
      hint: `put a new one into that file, or name another: ${nameCertificate}`,
    });
  }
  if (begin > now) {
    throw refuse({
      reason: `it is not valid before ${begin.toISOString()}`,
      hint: 'wait, or check the clock of this machine',
    });
  }
}

const nameCertificate = 'authcli provider add … --force --client-cert PATH';
const nameKey = `name the file of its private key: ${nameCertificate} --client-cert-key PATH`;

function unusable(place: string, { reason, hint }: Fault): AuthError {
  return new AuthError('usage', `the client's certificate in ${place} cannot be used: ${reason}`, {
    hint: hint ?? `name the file of the certificate: ${nameCertificate}`,
  });
}
