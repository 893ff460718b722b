import type { IncomingMessage } from 'node:http';

import { headerValues, type Refusal } from './request-check.js';

/** A code, a state and all else that a provider sends are a tenth of it. */
const largestForm = 64 * 1024;
const tooLarge: Refusal = { status: 413, message: 'This form is too large.' };

/**
 * The parameters of OAuth 2.0 Form Post Response Mode, or why they are not read.
 * Never settles when the client leaves before it has sent all of them.
 */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | Refusal> {
  if (!isForm(request)) return { status: 415, message: 'This address only takes a form.' };
  if (Number(request.headers['content-length']) > largestForm) return tooLarge;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > largestForm) resolve(tooLarge);
      else chunks.push(chunk);
    });
    // URLSearchParams takes a question mark off the beginning; in a form it belongs to the first name.
    request.once('end', () => resolve(new URLSearchParams(`?${Buffer.concat(chunks).toString()}`)));
  });
}

function isForm(request: IncomingMessage): boolean {
  const [type = '', ...more] = headerValues(request, 'content-type');
  const isPlain = headerValues(request, 'content-encoding').length === 0;
  return isPlain && more.length === 0 && /^application\/x-www-form-urlencoded *(;|$)/iu.test(type);
}
