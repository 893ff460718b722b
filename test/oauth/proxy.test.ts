import { describe, expect, test } from 'vitest';

import { AuthError } from '../../src/errors.js';
import { findProxy } from '../../src/oauth/proxy.js';

const proxy = 'http://proxy.acme.test:3128';

function hostOf(url: string, env: Record<string, string>): string | undefined {
  return findProxy(new URL(url), env)?.address.host;
}

describe('which variable counts', () => {
  test.each<[env: Record<string, string>, host: string | undefined]>([
    [{}, undefined],
    [{ HTTPS_PROXY: proxy }, 'proxy.acme.test:3128'],
    [{ HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1' }, 'lower:1'],
    [{ HTTPS_PROXY: 'http://upper:1', https_proxy: '' }, 'upper:1'],
    [{ ALL_PROXY: 'http://all:1', HTTPS_PROXY: proxy }, 'proxy.acme.test:3128'],
    [{ ALL_PROXY: 'http://all:1' }, 'all:1'],
    [{ all_proxy: 'all:1' }, 'all:1'],
    [{ HTTPS_PROXY: 'proxy.acme.test' }, 'proxy.acme.test'],
    [{ HTTPS_PROXY: 'https://proxy.acme.test' }, 'proxy.acme.test'],
    [{ HTTPS_PROXY: '[::1]:3128' }, '[::1]:3128'],
    [{ HTTP_PROXY: proxy, http_proxy: proxy }, undefined],
  ])('%j', (env, host) => {
    expect(hostOf('https://login.acme.test/token', env)).toBe(host);
  });

  test('plain http stays on this machine', () => {
    const env = { HTTP_PROXY: proxy, http_proxy: proxy, HTTPS_PROXY: proxy, ALL_PROXY: proxy };
    expect(hostOf('http://127.0.0.1:8080/token', env)).toBeUndefined();
  });
});

describe('NO_PROXY exempts', () => {
  test.each([
    ['login.acme.test', 'https://login.acme.test'],
    ['acme.test', 'https://login.acme.test'],
    ['.acme.test', 'https://login.acme.test'],
    ['.acme.test', 'https://acme.test'],
    ['*.acme.test', 'https://login.acme.test'],
    ['*', 'https://login.acme.test'],
    ['ACME.test', 'https://login.acme.test'],
    ['other.test, acme.test', 'https://login.acme.test'],
    ['other.test acme.test', 'https://login.acme.test'],
    ['login.acme.test:443', 'https://login.acme.test'],
    ['login.acme.test:8443', 'https://login.acme.test:8443'],
    ['10.1.2.3', 'https://10.1.2.3'],
    ['10.0.0.0/8', 'https://10.1.2.3'],
    ['0.0.0.0/0', 'https://10.1.2.3'],
    ['::1', 'https://[::1]:8443'],
    ['[::1]:8443', 'https://[::1]:8443'],
    ['fd00::/8', 'https://[fd12::1]'],
  ])('%s: %s', (exempt, url) => {
    expect(hostOf(url, { HTTPS_PROXY: proxy, NO_PROXY: exempt })).toBeUndefined();
    expect(hostOf(url, { HTTPS_PROXY: proxy, no_proxy: exempt, NO_PROXY: 'x' })).toBeUndefined();
  });

  test.each([
    ['', 'https://login.acme.test'],
    [',', 'https://login.acme.test'],
    ['acme', 'https://login.acme.test'],
    ['gin.acme.test', 'https://login.acme.test'],
    ['login.acme.test:8443', 'https://login.acme.test'],
    ['10.0.0.0/8', 'https://11.1.2.3'],
    ['10.0.0.0/33', 'https://10.0.0.0'],
    ['10.0.0.0/8', 'https://login.acme.test'],
    ['fd00::/8', 'https://10.1.2.3'],
    ['/8', 'https://10.1.2.3'],
  ])('%j, but not %s', (exempt, url) => {
    expect(hostOf(url, { HTTPS_PROXY: proxy, NO_PROXY: exempt })).toBe('proxy.acme.test:3128');
  });
});

test.each([
  ['http://jane:open%20sesame@proxy.test:1', 'jane:open sesame'],
  ['jane:100%@proxy.test:1', 'jane:100%'],
  ['http://jane@proxy.test', 'jane:'],
  ['http://:token@proxy.test', ':token'],
])('the user of %s', (text, credentials) => {
  const found = findProxy(new URL('https://login.acme.test'), { HTTPS_PROXY: text });
  expect(found?.authorization).toBe(`Basic ${Buffer.from(credentials).toString('base64')}`);
  expect(found?.address.href).not.toContain('jane');
});

test.each([
  [
    'socks5h://jane:hush@proxy.test:1080',
    'ALL_PROXY names a socks5h proxy, and authcli speaks to http proxies only',
  ],
  ['http://jane:hush@:x', 'ALL_PROXY is not the address of a proxy'],
  ['http://', 'ALL_PROXY is not the address of a proxy'],
])('%s is refused without being shown', (text, message) => {
  const find = () => findProxy(new URL('https://login.acme.test'), { ALL_PROXY: text });
  expect(find).toThrow(
    new AuthError('usage', message, {
      hint: 'ALL_PROXY=http://HOST:PORT, or NO_PROXY=HOST for what is reached without one',
    }),
  );
});
