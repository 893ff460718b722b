import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { isOnPath, requirement } from './requirements.js';

export const canCertify = requirement('openssl', isOnPath('openssl'));

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface Authority {
  /** For NODE_EXTRA_CA_CERTS. */
  readonly file: string;
  /** @param names as in a certificate: `DNS:localhost`, `IP:127.0.0.1` */
  issue(...names: string[]): Certificate;
}

/** A CA of one's own, which nobody trusts yet; its files are gone after the test. */
export function newAuthority(name = 'Acme Test CA'): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-ca-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const make = (file: string, subject: string, ...more: string[]): Certificate => {
    const [key, cert] = [join(folder, `${file}.key`), join(folder, `${file}.pem`)];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync(
      'openssl',
      ['req', '-x509', ...kind, '-subj', subject, '-keyout', key, '-out', cert, ...more],
      { stdio: 'pipe' },
    );
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  };
  make('ca', `/O=Acme Inc/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign');
  const [ca, caKey] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  return {
    file: ca,
    issue: (...names) =>
      make(
        'server',
        '/CN=server',
        '-CA',
        ca,
        '-CAkey',
        caKey,
        '-addext',
        `subjectAltName=${names.join(',')}`,
      ),
  };
}
