import { expect } from 'vitest';

import type { RawReply } from './raw-http.js';

/** What each reply of the listener must have, whatever was asked: no header but these, nothing to load, no secret. */
export function expectHarmless(
  { status, headers, body }: RawReply,
  secrets: readonly string[],
  method: 'GET' | 'POST' = 'GET',
): void {
  const { date: _date, 'content-length': length, 'content-security-policy': policy, ...rest } = headers;
  expect(rest).toEqual({
    ...(status === 405 && { allow: method }),
    'content-type': 'text/html; charset=utf-8',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    connection: 'close',
  });
  expect(Number(length)).toBeGreaterThan(0);
  expect(policy).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; script-src 'sha256-[\w+/]{43}='; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/u,
  );
  expect(body).not.toMatch(/\s(?:src|action)=|url\(|@import/u);
  for (const secret of secrets) expect(body).not.toContain(secret);
}
