import { createPrivateKey, type KeyObject } from 'node:crypto';

import type { AuthError } from '../errors.js';
import { shellWord } from '../remote-text.js';

/** What is wrong with a file, and what to do about it where that is not the same for all. */
export interface Fault {
  readonly reason: string;
  readonly hint?: string;
}

/** @param refuse makes the error, in the words of what the key is for */
export function readPrivateKey(pem: string, place: string, refuse: (fault: Fault) => AuthError): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw refuse(faultOf(pem, place));
  }
}

function faultOf(text: string, place: string): Fault {
  const labels = Array.from(text.matchAll(/-----BEGIN ([\w ]+)-----/g), ([, label = '']) => label);
  const file = shellWord(place);
  if (labels.includes('ENCRYPTED PRIVATE KEY') || text.includes('Proc-Type: 4,ENCRYPTED')) {
    return {
      reason: 'its private key is protected by a passphrase',
      hint: `name a file without one, which nobody else can read: openssl pkey -in ${file} -out PATH`,
    };
  }
  if (labels.includes('OPENSSH PRIVATE KEY')) {
    return {
      reason: 'its private key has the form of OpenSSH',
      hint: `rewrite a copy of it: ssh-keygen -p -m PKCS8 -f PATH`,
    };
  }
  if (labels.some((label) => label.endsWith('PRIVATE KEY'))) {
    return { reason: 'its private key is damaged, or of an unknown kind' };
  }
  if (labels.some((label) => label.endsWith('PUBLIC KEY'))) return { reason: 'it holds a public key only' };
  if (labels.includes('CERTIFICATE')) return { reason: 'it holds a certificate and no private key' };
  return { reason: 'it holds no private key in PEM form' };
}
