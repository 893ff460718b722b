import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { isOnPath, requirement } from './requirements.js';

export const canCertify = requirement('openssl', isOnPath('openssl'));

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** One whose files are there until the test is over. */
export interface CertificateFiles extends Certificate {
  readonly file: string;
  readonly keyFile: string;
}

export interface Subject {
  readonly name: string;
  /** As in a certificate: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly alternatives: readonly string[];
  /** `YYYYMMDD`; today and tomorrow, when absent. */
  readonly validity?: readonly [from: string, to: string];
  /** For `openssl req -newkey`; one on the curve P-256, when absent. */
  readonly kind?: string;
}

/** Its own certificate is for NODE_EXTRA_CA_CERTS. */
export interface Authority extends CertificateFiles {
  /** @param names as in a certificate: `DNS:localhost`, `IP:127.0.0.1` */
  issue(...names: string[]): Certificate;
  certify(subject: Subject): CertificateFiles;
}

const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/** As `openssl ca` wants it. */
const policy = `[ca]
default_days = 2
default_md = sha256
copy_extensions = copy
unique_subject = no
serial = serial
policy = policy
`;

/** A CA of one's own, which nobody trusts yet; its files are gone after the test. */
export function newAuthority(name = 'Acme Test CA'): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-ca-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const inFolder = (file: string) => join(folder, file);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  const filesOf = (place: string): CertificateFiles => {
    const [file, keyFile] = [inFolder(`${place}.pem`), inFolder(`${place}.key`)];
    return { file, keyFile, cert: readFileSync(file, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  };
  const written = ['-keyout', 'ca.key', '-out', 'ca.pem', '-addext', 'keyUsage=critical,keyCertSign'];
  openssl('req', '-x509', '-nodes', ...p256, '-subj', `/O=Acme Inc/CN=${name}`, ...written);
  writeFileSync(
    inFolder('ca.cnf'),
    `${policy}database = ${inFolder('issued')}\nnew_certs_dir = ${folder}\n[policy]\ncommonName = supplied\n`,
  );
  writeFileSync(inFolder('issued'), '');
  let count = 0;
  const certify = ({ name: subject, alternatives, validity, kind }: Subject): CertificateFiles => {
    const place = `${(count += 1)}`;
    const extensions = ['-addext', `subjectAltName=${alternatives.join(',')}`];
    const request = ['-keyout', `${place}.key`, '-out', `${place}.csr`];
    openssl(
      'req',
      '-nodes',
      ...(kind ? ['-newkey', kind] : p256),
      '-subj',
      `/CN=${subject}`,
      ...extensions,
      ...request,
    );
    const [from, to] = validity ?? [];
    const dates = to === undefined ? [] : ['-startdate', `${from}000000Z`, '-enddate', `${to}000000Z`];
    const signing = ['-name', 'ca', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-create_serial', ...dates];
    const paths = ['-in', `${place}.csr`, '-out', `${place}.pem`];
    openssl('ca', '-config', 'ca.cnf', '-batch', '-notext', ...signing, ...paths);
    return filesOf(place);
  };
  return {
    ...filesOf('ca'),
    certify,
    issue: (...alternatives) => certify({ name: 'server', alternatives }),
  };
}
