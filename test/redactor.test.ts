import { describe, expect, test } from 'vitest';

import { Redactor } from '../src/redactor.js';

describe('what looks like a secret is redacted', () => {
  test.each([
    ['code=SplxlOBeZQQYbYS6WxSbIA&state=xyz', 'code=[redacted]&state=xyz'],
    [
      'grant_type=refresh_token&refresh_token=8xLOxBtZp8',
      'grant_type=refresh_token&refresh_token=[redacted]',
    ],
    ['code_verifier=dBjftJeZ4CVP', 'code_verifier=[redacted]'],
    ['{"access_token": "2YotnFZFEjr1zCsicMWpAA"}', '{"access_token": "[redacted]"}'],
    ['Authorization: Bearer mF_9.B5f-4.1JqM', 'Authorization: Bearer [redacted]'],
    ['Proxy-Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l', 'Proxy-Authorization: Basic [redacted]'],
    [
      'the token eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.dBjftJeZ4CVP-mB92K27 is old',
      'the token [redacted] is old',
    ],
    ['http://jane:open-sesame@proxy.acme.test:3128', 'http://jane:[redacted]@proxy.acme.test:3128'],
    ['socks5h://:open-sesame@proxy.acme.test', 'socks5h://:[redacted]@proxy.acme.test'],
  ])('%s', (text, expected) => {
    expect(new Redactor().redact(text)).toBe(expected);
  });

  test.each([
    'https://login.acme.test:8443/token: 200',
    'error_code=7',
    'the code is missing',
    'http://127.0.0.1:8910/callback?state=xyz',
    'Bearer tokens',
  ])('%s is none', (text) => {
    expect(new Redactor().redact(text)).toBe(text);
  });
});

test('what was concealed is redacted wherever it stands, also as it would stand in a URL', () => {
  const { conceal, redact } = new Redactor();
  conceal('a secret/with+signs');
  conceal('short');
  expect(redact('x a secret/with+signs y a%20secret%2Fwith%2Bsigns z short')).toBe(
    'x [redacted] y [redacted] z short',
  );
});
