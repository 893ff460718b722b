import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { newAuthority } from '../support/certificates.js';
import { listen } from '../support/listen.js';
import type { Machine } from '../support/run.js';

/** An issuer as it is on the Internet, for one machine: it has a name that all may know, and a certificate for it. */
export interface PublicIssuer {
  readonly issuer: string;
  /** For the environment of the program: who vouches for the certificate, and where the name is found. */
  readonly env: Readonly<Record<string, string>>;
  /** The paths asked for so far. */
  readonly asked: readonly string[];
}

const host = 'login.acme.example';

/** @param metadata what it publishes next to its name and its endpoints */
export async function publicIssuer(
  { folder }: Machine,
  metadata: (issuer: string) => Readonly<Record<string, unknown>>,
): Promise<PublicIssuer> {
  const authority = newAuthority();
  const asked: string[] = [];
  const server = createServer(authority.issue(`DNS:${host}`), ({ url = '' }, response) => {
    asked.push(url);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(published()));
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const issuer = `https://${host}:${await listen(server)}`;
  const published = () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    ...metadata(issuer),
  });
  const names = join(folder, 'names.cjs');
  writeFileSync(names, resolver);
  return { issuer, asked, env: { NODE_EXTRA_CA_CERTS: authority.file, NODE_OPTIONS: `--require=${names}` } };
}

/** In place of /etc/hosts, which is not ours to change. */
const resolver = `const dns = require('node:dns');
const { lookup } = dns;
dns.lookup = (name, options, done) => lookup(name === '${host}' ? '127.0.0.1' : name, options, done);
`;
