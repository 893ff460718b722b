import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { listenForAuthorizationResponse } from '../../../src/callback/listener.js';
import { formText, sendRaw } from '../../support/raw-http.js';
import { newMachine } from '../../support/run.js';
import { code, json, newBench } from './bench.js';
import { assertContract } from './outcome-rules.js';
import { goodClaims, goodIdToken, jwk, signedJwt } from './signed-jwt.js';

const refreshToken = 'canary-refresh-0123456789';
const good = { access_token: 'canary-access-0123456789', token_type: 'Bearer', refresh_token: refreshToken };

/** Each of these went wrong once; the campaigns found them. */
describe('a token response that the fuzz found', () => {
  test.each([
    [
      'a lifetime that is no text either',
      '"expires_in":{"toString":1}',
      'has an expires_in that is not a number',
    ],
    ['a member twice', '"access_token":"second"', 'has access_token twice'],
    ['a member twice, further down', '"more":[{"a":1,"a":2}]', 'has a twice'],
    ['nesting without end', `"more":${'['.repeat(20_000)}${']'.repeat(20_000)}`, 'has more than 64 levels'],
  ])('%s', async (_title, member, fault) => {
    const bench = await newBench();
    const outcome = await bench.signIn((nonce) => {
      const document = JSON.stringify({ ...good, id_token: goodIdToken(bench.acme.issuer, nonce) });
      return { status: 200, headers: json, body: `${document.slice(0, -1)},${member}}` };
    });
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(new RegExp(`\nerror: .* ${fault}\n$`));
  });

  test('letters that are no UTF-8', async () => {
    const bench = await newBench();
    const outcome = await bench.signIn((nonce) => {
      const document = JSON.stringify({
        ...good,
        more: 'é',
        id_token: goodIdToken(bench.acme.issuer, nonce),
      });
      return { status: 200, headers: json, body: Buffer.from(document, 'latin1') };
    });
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(/\nerror: the document at \S+\/token is not in UTF-8\n$/);
  });

  test('a lifetime of the refresh token that is no number says nothing', async () => {
    const bench = await newBench();
    const outcome = await bench.signIn((nonce) => {
      const document = { ...good, refresh_expires_in: { toString: 1 } };
      const id_token = goodIdToken(bench.acme.issuer, nonce);
      return { status: 200, headers: json, body: JSON.stringify({ ...document, id_token }) };
    });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await bench.token()).toEqual({ exitCode: 0, stdout: `${good.access_token}\n`, stderr: '' });
  });

  test('a scope that moves the cursor', async () => {
    const bench = await newBench();
    const outcome = await bench.signIn((nonce) => ({
      status: 200,
      headers: json,
      body: JSON.stringify({ ...good, scope: '\u001b[2J', id_token: goodIdToken(bench.acme.issuer, nonce) }),
    }));
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(
      /\nerror: the provider's scope holds characters that no scope may have\n$/,
    );
  });
});

test('a form that the fuzz found: a question mark belongs to the name behind it', async () => {
  const listener = await listenForAuthorizationResponse({
    host: '127.0.0.1',
    ports: [0],
    path: '/callback',
    method: 'POST',
  });
  onTestFinished(() => listener.close());
  void listener.receive('the-state');
  const form = formText(listener.redirectUri, '/callback', '?state=the-state&code=x');
  expect(await sendRaw(listener.redirectUri, form)).toMatchObject({ status: 400 });
  expect(listener.ignored).toBe(1);
});

describe('a refusal that the fuzz found', () => {
  test.each([
    ['an error that every object has', { error: 'constructor' }, 'constructor'],
    ['a description that is no text', { error: 'x', error_description: { toString: 1 } }, 'x'],
    [
      'a character of two halves where the line is cut',
      { error: 'xy', error_description: '💥'.repeat(400) },
      'xy .*',
    ],
    [
      'the code, where the line is cut',
      { error: 'x', error_description: `${'y'.repeat(440)} ${code}` },
      'x .*',
    ],
  ])('%s', async (_title, refusal, told) => {
    const bench = await newBench();
    const outcome = await bench.signIn(() => ({ status: 400, headers: json, body: JSON.stringify(refusal) }));
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(new RegExp(`\nerror: the provider refused the code exchange: ${told}\n$`));
    expect(outcome.stderr).not.toContain(code.slice(0, 8));
    assertContract(outcome);
  });

  test('the refresh token itself, repeated by the provider', async () => {
    const bench = await newBench();
    const { acme } = bench;
    await bench.signIn((nonce) => ({
      status: 200,
      headers: json,
      body: JSON.stringify({ ...good, id_token: goodIdToken(acme.issuer, nonce) }),
    }));
    const body = JSON.stringify({ error: 'invalid_request', error_description: `not ${refreshToken}` });
    acme.answerAlways('/token', { status: 400, headers: json, body });
    expect(await bench.token('--force-refresh')).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: 'error: the provider refused the refresh: invalid_request (not [redacted])\n',
    });
  });
});

describe('an ID token that the fuzz found', () => {
  test.each<[string, (claims: string) => string]>([
    [
      'a byte order mark before its header',
      (claims) => signedJwt(Buffer.from(`\uFEFF{"alg":"ES256","kid":"${jwk.kid}"}`), Buffer.from(claims)),
    ],
    [
      'letters that are no UTF-8',
      (claims) =>
        signedJwt(
          Buffer.from(`{"alg":"ES256","kid":"${jwk.kid}"}`),
          Buffer.from(`${claims.slice(0, -1)},"name":"é"}`, 'latin1'),
        ),
    ],
    [
      'padding behind its signature',
      (claims) => `${signedJwt(Buffer.from(`{"alg":"ES256","kid":"${jwk.kid}"}`), Buffer.from(claims))}==`,
    ],
  ])('%s', async (_title, forge) => {
    const bench = await newBench();
    const outcome = await bench.signIn((nonce) => ({
      status: 200,
      headers: json,
      body: JSON.stringify({
        ...good,
        id_token: forge(JSON.stringify(goodClaims(bench.acme.issuer, nonce))),
      }),
    }));
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(/\nerror: the provider's id_token is malformed\n$/);
  });
});

describe('a configuration that the fuzz found', () => {
  const entry = '{"issuer":"https://acme.test","clientId":"cli"}';
  test.each<[string, string | Buffer, string]>([
    [
      'a prototype beside a comment',
      `{"__proto__":{"providers":{"acme":${entry}}}} // ours`,
      ': __proto__ must be absent: known here are $schema, defaultProvider, store, providers',
    ],
    [
      'a default that is no name',
      '{"defaultProvider":"../acme"}',
      ': defaultProvider must be the name of a provider',
    ],
    [
      'a client ID that no client has',
      '{"providers":{"acme":{"issuer":"https://acme.test","clientId":"a\\nb"}}}',
      ': providers.acme.clientId must be of printable ASCII characters (RFC 6749 A.1)',
    ],
    ['letters that are no UTF-8', Buffer.from('{"$schema":"é"}', 'latin1'), ' is not in UTF-8'],
  ])('%s', async (_title, text, fault) => {
    const machine = newMachine();
    const path = join(machine.folder, 'config', 'config.json');
    mkdirSync(join(machine.folder, 'config'));
    writeFileSync(path, text);
    const outcome = await machine.run(['provider', 'list']);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr.split('\n')[0]).toBe(`error: ${path}${fault}`);
  });

  test.each([[['login']], [['provider', 'add', 'acme']]])(
    'a client ID that could not be kept: %s',
    async (command) => {
      const issuer = ['--issuer', 'https://acme.test', '--client-id', 'clïent'];
      expect(await newMachine().run([...command, ...issuer])).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: 'error: --client-id must be of printable ASCII characters (RFC 6749 A.1)\n',
      });
    },
  );
});
