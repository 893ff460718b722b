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

const secret = '0QV-3pXb8_KzR7m.LwE5tYn/2aHc+9sJdUg=';
const utf8 = Buffer.from(secret);
const html = (text: string): string => text.replaceAll(/[^\w.-]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const each = (text: string, form: (code: number) => string): string =>
  Array.from(Buffer.from(text), form).join('');
const hex = (code: number): string => code.toString(16).padStart(2, '0');
const within = (before: string, encoding: 'base64' | 'base64url'): string =>
  Buffer.from(`${before}${secret}and more`).toString(encoding);

/** The longest part of the secret that the text still has, be it in other letters or in pieces. */
function longestPart(text: string): number {
  const plain = text.toLowerCase().replaceAll(/\s/g, '');
  const whole = secret.toLowerCase();
  let longest = 0;
  for (let at = 0; at < whole.length; at += 1)
    while (plain.includes(whole.slice(at, at + longest + 1)) && at + longest < whole.length) longest += 1;
  return longest;
}

describe('a text that nobody could read to its end', () => {
  const looked = 16 * 1024;

  test('is looked at and kept as far as a person might read', () => {
    const { conceal, redact } = new Redactor();
    conceal(secret);
    // One character is 18 letters: a megabyte of them took half a minute, in which nothing else could happen.
    const shown = redact(`${secret} ${'\ufdfa'.repeat(330_000)}`);
    expect(shown.startsWith('[redacted] \ufdfa')).toBe(true);
    expect(shown.endsWith('\ufdfa...')).toBe(true);
    expect(shown.length).toBeLessThan(looked);
  });

  test.each([secret, each(secret, (code) => `&#x${hex(code)};`), utf8.toString('base64')])(
    'does not end within a secret: %s',
    (repeated) => {
      const { conceal, redact } = new Redactor();
      conceal(secret);
      for (let before = looked - 1024 - repeated.length; before <= looked; before += 7) {
        const text = `${'y'.repeat(before)}${repeated}`.padEnd(2 * looked);
        expect(redact(text)).toMatch(/^y+(?:\[redacted\](?:&#x3d;)?)? *\.\.\.$/);
      }
    },
  );
});

describe('a secret is redacted in whatever form it is repeated:', () => {
  const forms: readonly [title: string, repeated: string][] = [
    ['as it is', secret],
    ['twice', secret + secret],
    ['in capitals', secret.toUpperCase()],
    ['in small letters', secret.toLowerCase()],
    ['split by blanks', secret.replaceAll(/.{6}/g, '$& ')],
    ['a character at a time', secret.replaceAll(/./g, '$& ')],
    ['split by line breaks', secret.replaceAll(/.{10}/g, '$&\r\n\t')],
    ['split by soft hyphens', secret.replaceAll(/.{3}/g, '$&\u00ad')],
    ['split by what nobody sees', secret.replaceAll(/.{2}/g, '$&\u200b\u2060\ufeff')],
    ['split by commas', secret.replaceAll(/.{4}/g, '$&, ')],
    ['split by full stops and dashes', secret.replaceAll(/.{4}/g, '$&.-')],
    ['split by quotation marks', secret.replaceAll(/.{4}/g, "$&' + '")],
    ['split by escaped line breaks', secret.replaceAll(/.{5}/g, '$&\\n')],
    ['split by tags', secret.replaceAll(/.{5}/g, '$&<wbr class="x">')],
    ['split by named characters', secret.replaceAll(/.{5}/g, '$&&nbsp;&shy;')],
    ['percent-encoded', encodeURIComponent(secret)],
    ['percent-encoded in small letters', encodeURIComponent(secret).toLowerCase()],
    ['percent-encoded, every byte', each(secret, (code) => `%${hex(code)}`)],
    ['percent-encoded, every byte, in capitals', each(secret, (code) => `%${hex(code).toUpperCase()}`)],
    ['percent-encoded twice', encodeURIComponent(each(secret, (code) => `%${hex(code)}`))],
    ['escaped as in JSON', secret.replaceAll('/', '\\/')],
    ['escaped as in JSON, every unit', each(secret, (code) => `\\u00${hex(code)}`)],
    ['escaped twice as in JSON', each(secret, (code) => `\\\\u00${hex(code)}`)],
    ['escaped as in JavaScript', each(secret, (code) => `\\x${hex(code)}`)],
    ['escaped as code points', each(secret, (code) => `\\u{${hex(code)}}`)],
    ['escaped as in HTML', html(secret)],
    ['escaped as in HTML, by number', each(secret, (code) => `&#${code};`)],
    ['escaped as in HTML, by hexadecimal number', each(secret, (code) => `&#x${hex(code).toUpperCase()};`)],
    ['escaped as in HTML, with zeros before the number', each(secret, (code) => `&#000000000${code};`)],
    ['escaped as JavaScript once did', each(secret, (code) => `%u00${hex(code)}`)],
    ['split by comments', secret.replaceAll(/.{5}/g, '$&<!-- x -->')],
    ['split by a character with a long name', secret.replaceAll(/.{5}/g, '$&&ZeroWidthSpace;')],
    ['in wide letters', each(secret, (code) => String.fromCodePoint(code + 0xfee0))],
    ['in base64', utf8.toString('base64')],
    ['in base64url', utf8.toString('base64url')],
    ['in base64, behind one byte', within('a', 'base64')],
    ['in base64, behind two bytes', within('ab', 'base64')],
    ['in base64, behind a name', within('client:', 'base64')],
    ['in base64url, behind one byte', within('a', 'base64url')],
    ['in base64url, behind two bytes', within('ab', 'base64url')],
    ['in base64, in lines', utf8.toString('base64').replaceAll(/.{8}/g, '$&\n')],
    ['in base64, in a query', encodeURIComponent(utf8.toString('base64'))],
    [
      'in base64, encoded for a form first',
      Buffer.from(`c:${encodeURIComponent(secret)}`).toString('base64'),
    ],
    ['in base64, cut', utf8.toString('base64').slice(0, 20)],
    ['in hexadecimal digits', utf8.toString('hex')],
    ['in hexadecimal digits, in capitals', utf8.toString('hex').toUpperCase()],
    ['in hexadecimal digits, with colons', each(secret, (code) => `${hex(code)}:`)],
    ['its beginning', secret.slice(0, 12)],
    ['its first half', secret.slice(0, secret.length / 2)],
    ['its end', secret.slice(-14)],
    ['all but its ends', secret.slice(5, -5)],
    ['its two ends', `${secret.slice(0, 12)}...${secret.slice(-12)}`],
  ];

  test.each(forms)('%s', (_, repeated) => {
    const { conceal, redact } = new Redactor();
    conceal(secret);
    conceal('another-secret');
    for (const [before, behind] of [
      ['the token ', ' is not ours'],
      ['"', '"'],
      ['<p>', '</p>'],
      ['?a=', '&b=c'],
    ] as const) {
      const shown = redact(before + repeated + behind);
      expect(longestPart(shown)).toBeLessThan(8);
      expect(shown).toContain('[redacted]');
      // Nor does what is left hold it in another form.
      for (const left of shown.slice(before.length).split('[redacted]')) {
        for (const start of [0, 1, 2, 3]) {
          expect(longestPart(Buffer.from(left.slice(start), 'base64').toString('latin1'))).toBeLessThan(8);
          expect(longestPart(Buffer.from(left.slice(start), 'hex').toString('latin1'))).toBeLessThan(8);
        }
      }
      expect(shown.startsWith(before)).toBe(true);
      expect(shown.endsWith(behind)).toBe(true);
    }
  });

  test('where it stands between other words, these are left', () => {
    const { conceal, redact } = new Redactor();
    conceal('a secret/with+signs');
    conceal('short');
    conceal('=-secret-of-signs-==');
    expect(redact('x a secret/with+signs y a%20secret%2Fwith%2Bsigns z short, =-secret-of-signs-==.')).toBe(
      'x [redacted] y [redacted] z [redacted], [redacted].',
    );
  });

  test.each([
    [
      'a passphrase',
      'Gr\u00fc\u00dfe aus K\u00f6ln',
      'no Gru\u0308\u00dfe aus Ko\u0308ln here',
      'no [redacted] here',
    ],
    [
      'the same, in a query',
      'Gr\u00fc\u00dfe aus K\u00f6ln',
      'x=Gr%C3%BC%C3%9Fe+aus+K%c3%b6ln&y',
      'x=[redacted]&y',
    ],
    ['hardly a letter', '!?#$%^&*()', 'is !?#$%^&*() right', 'is [redacted] right'],
    [
      'in another alphabet',
      '\u043f\u0430\u0440\u043e\u043b\u044c-\u0434\u043b\u044f',
      '\u041f\u0410\u0420\u041e\u041b\u042c \u0414\u041b\u042f',
      '[redacted]',
    ],
    ['with half a character', 'secret\ud800\udc00with\ud800half', 'secret\ud800\udc00withhalf', '[redacted]'],
  ])('%s', (_, concealed, text, expected) => {
    const { conceal, redact } = new Redactor();
    conceal(concealed);
    expect(redact(text)).toBe(expected);
  });

  test('of a key file without a key nothing is secret', () => {
    const { conceal, redact } = new Redactor();
    conceal('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n');
    expect(redact('it holds a certificate and no private key')).toBe(
      'it holds a certificate and no private key',
    );
  });

  test('of a key file, its lines are secret and its frame is not', () => {
    const line = 'MC4CAQAwBQYDK2VwBCIEIJ6Vw7r1Yp0cXk3uT8sLzQdGhNfB2aRmEoWiKjSyHtPv';
    const { conceal, redact } = new Redactor();
    conceal(`-----BEGIN PRIVATE KEY-----\n${line}\n-----END PRIVATE KEY-----\n`);
    expect(redact(`a PRIVATE KEY begins with -----BEGIN PRIVATE KEY-----, and not with ${line}`)).toBe(
      'a PRIVATE KEY begins with -----BEGIN PRIVATE KEY-----, and not with [redacted]',
    );
  });
});

describe('a short secret', () => {
  test.each([
    ['s3cret', 'the secret s3cret is wrong', 'the secret [redacted] is wrong'],
    ['s3cret', 'client_secret=s3cret&x=1', 'client_secret=[redacted]&x=1'],
    ['s3cret', 'S3CRET, s3-cret and s%33cret', '[redacted], [redacted] and [redacted]'],
    ['s3cret', `Basic of ${Buffer.from('app:s3cret').toString('base64')}`, 'Basic of YXBwOn[redacted]A=='],
    ['s3cret', 'top-s3cret-env, s3cretly and mys3cret', 'top-s3cret-env, s3cretly and mys3cret'],
    ['test', 'a test of --test-env and attestation', 'a [redacted] of --test-env and attestation'],
    ['#1!?', 'not #1!?, but #1', 'not [redacted], but #1'],
  ])('of four to seven signs is redacted as a whole word: %s in %j', (concealed, text, expected) => {
    const { conceal, redact } = new Redactor();
    conceal(concealed);
    expect(redact(text)).toBe(expected);
  });

  test.each([
    ['a', 'a client has a secret (a)', 'a client has a secret (a)'],
    ['a', 'the secret "a" is wrong', 'the secret "[redacted]" is wrong'],
    ['abc', 'client_secret=abc&x=abcd', 'client_secret=[redacted]&x=abcd'],
    ['abc', 'wrong secret: ABC', 'wrong secret: [redacted]'],
    ['a.c', "abc is not 'a.c'", "abc is not '[redacted]'"],
    ['#/-', 'is "#/-" right', 'is "[redacted]" right'],
    ['', 'nothing to "" conceal', 'nothing to "" conceal'],
  ])('of one to three signs is redacted as a value: %j in %j', (concealed, text, expected) => {
    const { conceal, redact } = new Redactor();
    conceal(concealed);
    expect(redact(text)).toBe(expected);
  });
});

test('what a secret has in common with a public name is left, and the rest of it redacted', () => {
  const { conceal, redact } = new Redactor();
  conceal('acme-reports-client-7Hq2', 'acme-reports https://login.acme.test');
  conceal('test', 'acme-reports https://test.acme.test');
  conceal('7', 'app-7');
  const hint = 'authcli login --issuer https://test.acme.test --client-id acme-reports --port 7';
  expect(redact(hint)).toBe(hint);
  expect(redact('wrong: acme-reports-client-7Hq2')).toMatch(/^wrong: acme-\w{0,7}\[redacted\]$/);
});

test('an address to visit keeps its parameters, though a secret may have a part of them', () => {
  const { conceal, redactAddress } = new Redactor();
  conceal('acme-reports-7Hq2');
  const address = 'https://login.acme.test/authorize?client_id=acme-reports&state=xyz';
  expect(redactAddress(address)).toBe(address);
  expect(redactAddress(`${address}&hint=acme-reports-7Hq2`)).toBe(`${address}&hint=[redacted]`);
});

test.each([
  ['words', 'the provider said no, and no again. '],
  ['escapes', '%41\\u0042&#67;%2541 '],
  ['beginnings of a secret', secret.slice(0, 7)],
  ['beginnings of tags', '<a'],
  ['the secret', secret],
])('a text of 100 kB and 50 secrets take a moment: %s', (_, piece) => {
  const { conceal, redact } = new Redactor();
  for (let each50 = 0; each50 < 50; each50 += 1) conceal(`${each50}${secret}`.repeat(50));
  const text = piece.repeat(Math.ceil(100_000 / piece.length));
  redact('builds what is needed');
  const begun = performance.now();
  redact(text);
  expect(performance.now() - begun).toBeLessThan(3_000);
});

test('a secret of any character, however odd, is redacted where a value is expected', () => {
  const characters = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code));
  // A line break ends a secret, and is none.
  for (const odd of [
    ...characters.filter((one) => !/[\r\n]/.test(one)),
    '😀',
    '\uD800',
    'a\0b',
    '$&',
    '^.*',
    '\\',
    '[-]',
  ]) {
    const { conceal, redact } = new Redactor();
    conceal(odd);
    expect([odd, redact(`"${odd}" was sent`)]).toEqual([odd, '"[redacted]" was sent']);
  }
});
