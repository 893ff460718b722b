import { createCipheriv, randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { expect, test } from 'vitest';

import { fingerprint, sealRecord } from '../src/store/seal.js';
import { formatHeader } from '../src/store/session-record.js';
import type { AccessToken, Session } from '../src/store/session.js';
import { noteCanary } from './support/canaries.js';
import { login, newcomer, signedIn, type Newcomer } from './support/newcomer.js';
import type { Answer } from './support/provider.js';
import type { Machine, Outcome } from './support/run.js';
import { refreshTokensUsed } from './support/refresh-tokens.js';
import { isOnPath, requirement } from './support/requirements.js';
import { canMount, onSmallDisk } from './support/small-disk.js';
import { success } from './faults/session.js';
import { onlySessionFile, openedSession } from './support/sessions.js';

const largestWritten = 768 * 1024;
const largestOnce = 1024 * 1024;
const timeout = 180_000;

const hasSmallDisk =
  requirement('unshare, nsenter', isOnPath('unshare') && isOnPath('nsenter')) && canMount();

const resourceOf = (index: number): string => `https://api-${index}.example`;

/** As long as that of a person with many roles. */
function longToken(name: string): string {
  const token = `${name}.${randomBytes(15_000).toString('base64url')}`;
  noteCanary('access_token', token);
  return token;
}

function answerOf(token: string): Answer {
  const body = JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 });
  return { status: 200, headers: { 'content-type': 'application/json' }, body };
}

function printed(stdout: string): Outcome {
  return { exitCode: 0, stdout, stderr: '' };
}

/** Returns the tokens, the oldest first. */
async function fetchTokens({ acme, machine }: Newcomer, count: number): Promise<string[]> {
  const tokens = Array.from({ length: count }, (_, index) => longToken(`token-${index}`));
  for (const [index, token] of tokens.entries()) {
    acme.answerNext('/token', answerOf(token));
    expect(await machine.spawn(['token', '--resource', resourceOf(index)])).toEqual(printed(`${token}\n`));
  }
  return tokens;
}

test(
  'tokens of 20 kB for 60 APIs leave a session that can be read, without the oldest',
  { timeout },
  async () => {
    const jane = await signedIn();
    const { acme, machine } = jane;
    const { refreshToken, idToken } = openedSession(machine);
    const tokens = await fetchTokens(jane, 60);
    expect(statSync(onlySessionFile(machine)).size).toBeLessThanOrEqual(largestWritten);
    expect(openedSession(machine)).toMatchObject({ refreshToken, idToken });

    const requests = acme.requestsTo('/token').length;
    const last = await machine.spawn(['token', '--resource', resourceOf(59)]);
    expect(last).toEqual(printed(`${tokens[59]}\n`));
    expect(acme.requestsTo('/token')).toHaveLength(requests);
    const anew = longToken('anew');
    acme.answerNext('/token', answerOf(anew));
    const first = await machine.spawn(['token', '--resource', resourceOf(0)]);
    expect(first).toEqual(printed(`${anew}\n`));

    const status = await machine.spawn(['status', '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({ sessions: [{ provider: 'acme', state: 'valid' }] });
    expect(status).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await machine.spawn(['logout', '-q'])).toEqual(printed(''));
    expect(acme.requestsTo('/token/revocation')[0]?.parameters['token']).toBe(refreshToken);
  },
);

test(
  'an API that is asked for again keeps its token longer than those that came between',
  { timeout },
  async () => {
    const jane = await signedIn();
    const { acme, machine } = jane;
    await fetchTokens(jane, 3);
    const anew = longToken('anew');
    acme.answerNext('/token', answerOf(anew));
    await machine.run(['token', '--force-refresh', '--resource', resourceOf(0)]);
    const kept = Object.values(openedSession(machine).otherAccessTokens);
    expect(kept.map(({ value }) => value.split('.')[0])).toEqual(['token-1', 'token-2', 'anew']);
  },
);

test('a session that an earlier version let grow beyond 1 MiB is used, and the next refresh makes it smaller', async () => {
  const jane = await signedIn();
  const { machine } = jane;
  const old = withOthers(openedSession(machine), 60, longToken);
  writeUnbounded(machine, old);
  expect(statSync(onlySessionFile(machine)).size).toBeGreaterThan(largestOnce);
  expect(await machine.spawn(['token'])).toEqual(printed(`${old.accessToken.value}\n`));
  expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  expect(statSync(onlySessionFile(machine)).size).toBeLessThanOrEqual(largestWritten);
  expect(Object.keys(openedSession(machine).otherAccessTokens).at(-1)).toBe('59');
  expect(await machine.spawn(['logout', '-q'])).toEqual(printed(''));
});

test.skipIf(!hasSmallDisk)(
  'a session that has grown finds its room when the disk becomes full during a refresh',
  { timeout },
  async () => {
    const jane = await newcomer();
    const { machine, fill, free } = await onSmallDisk(jane.machine);
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    await fetchTokens({ ...jane, machine }, 5);
    jane.acme.answerNext('/token', async () => fill(0));
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
    free();
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    // The first of the two was answered with a new one, which is the one that was kept.
    expect(new Set(refreshTokensUsed(jane.acme).slice(-2)).size).toBe(2);
  },
);

test('of thousands of small tokens the newest are kept', async () => {
  const { machine } = await signedIn();
  const session = withOthers(openedSession(machine), 10_000, (name) => name);
  const sealed = resealed(machine, session);
  expect(sealed.length).toBeLessThanOrEqual(largestWritten);
  writeFileSync(onlySessionFile(machine), sealed);
  const kept = Object.keys(openedSession(machine).otherAccessTokens);
  expect(kept.length).toBeGreaterThan(1_000);
  expect(kept.at(-1)).toBe('9999');
  expect(kept[0]).toBe(`${10_000 - kept.length}`);
});

test('the newest token is kept however large the rest is', async () => {
  const { machine } = await signedIn();
  const scope = 'x'.repeat(largestWritten);
  const session = withOthers({ ...openedSession(machine), scope }, 3, (name) => name);
  writeFileSync(onlySessionFile(machine), resealed(machine, session));
  expect(Object.keys(openedSession(machine).otherAccessTokens)).toEqual(['2']);
});

test('a session that could not be read again is never written', async () => {
  const { machine } = await signedIn();
  const session = { ...openedSession(machine), scope: 'x'.repeat(4 * 1024 * 1024) };
  expect(() => resealed(machine, session)).toThrow('what acme says of the session is too large to be kept');
});

function withOthers(session: Session, count: number, tokenOf: (name: string) => string): Session {
  const others = Array.from({ length: count }, (_, index): [string, AccessToken] => [
    `${index}`,
    { ...session.accessToken, value: tokenOf(`token-${index}`) },
  ]);
  return { ...session, otherAccessTokens: Object.fromEntries(others) };
}

function keyOf({ folder }: Machine): Parameters<typeof sealRecord>[1] {
  const bytes = Buffer.from(readFileSync(join(folder, 'state', 'store.key'), 'utf8'), 'base64');
  return { bytes, reference: { kind: 'file', fingerprint: fingerprint(bytes) } };
}

function resealed(machine: Machine, session: Session): string {
  return sealRecord(session, keyOf(machine), basename(onlySessionFile(machine)));
}

/** As before there was a limit. */
function writeUnbounded(machine: Machine, session: Session): void {
  const { accessToken, otherAccessTokens, refreshToken, unverifiedRefreshToken, ...others } = session;
  const { idToken, proofKey, requestDigest, ...summary } = others;
  const secrets = {
    accessToken,
    otherAccessTokens,
    refreshToken,
    unverifiedRefreshToken,
    idToken,
    proofKey,
    requestDigest,
  };
  const path = onlySessionFile(machine);
  const key = keyOf(machine);
  const header = formatHeader(summary, key.reference);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(
    Buffer.from(`${basename(path)}\n${header}`),
  );
  const parts = [nonce, cipher.update(JSON.stringify(secrets)), cipher.final(), cipher.getAuthTag()];
  writeFileSync(path, `${header}\n${Buffer.concat(parts).toString('base64')}\n`);
}
