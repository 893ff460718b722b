import { networkInterfaces } from 'node:os';
import { getuid, platform } from 'node:process';

import { describe, expect, onTestFinished, test } from 'vitest';

import { trustedUsers, type RefusedCaller } from '../../src/callback/caller.js';
import {
  listenForAuthorizationResponse,
  type AuthorizationResponseListener,
  type ListenerOptions,
} from '../../src/callback/listener.js';
import { expectHarmless } from '../support/harmless-reply.js';
import { callAndLeave, callFromOutside, canBeAnotherUser, nobody, stranger } from '../support/other-user.js';
import { formText, requestText, sendRaw, type RawReply } from '../support/raw-http.js';

const state = 'Xq0y4o0bYbQ0m1u5rC2o1A';
const signedIn = { kind: 'signed_in', provider: 'erp', account: 'ada@example.com' } as const;
const ownUid = getuid?.();

interface Waiting {
  readonly listener: AuthorizationResponseListener;
  readonly port: number;
  readonly received: ReturnType<AuthorizationResponseListener['receive']>;
  readonly refused: RefusedCaller[];
  readonly ignored: number[];
  /** The response as a browser brings it. */
  readonly request: (code: string) => string;
}

async function waiting(options: Partial<ListenerOptions> = {}): Promise<Waiting> {
  const refused: RefusedCaller[] = [];
  const ignored: number[] = [];
  const listener = await listenForAuthorizationResponse({
    host: '127.0.0.1',
    path: '/callback',
    trustedUsers: trustedUsers(ownUid, {}),
    onRefusedCaller: (caller) => refused.push(caller),
    onIgnored: (count) => ignored.push(count),
    ...options,
  });
  onTestFinished(() => listener.close());
  return {
    listener,
    port: Number(new URL(listener.redirectUri).port),
    received: listener.receive(state),
    refused,
    ignored,
    request: (code) => requestText(listener.redirectUri, `/callback?code=${code}&state=${state}`),
  };
}

/** Nothing was taken so far, and the person's own answer is. */
async function expectOwnAnswer({ listener, received }: Waiting): Promise<void> {
  const page = fetch(`${listener.redirectUri}?code=own&state=${state}`);
  const { url, respond } = await received;
  expect(url.searchParams.get('code')).toBe('own');
  await respond(signedIn);
  expect((await page).status).toBe(200);
}

function titleOf({ body }: RawReply): string | undefined {
  return /<h1>(.*)<\/h1>/.exec(body)?.[1];
}

describe('whose connections count', () => {
  test.each([
    ['this user and root', 1000, {}, [1000, 0]],
    ['this user and root, whatever SUDO_UID says of others', 1000, { SUDO_UID: '1001' }, [1000, 0]],
    ['root, and who became root', 0, { SUDO_UID: '1000' }, [0, 0, 1000]],
    ['root alone where SUDO_UID is empty', 0, { SUDO_UID: '' }, [0, 0]],
    ['root alone where SUDO_UID is a name', 0, { SUDO_UID: 'mallory' }, [0, 0]],
    ['root alone where SUDO_UID is negative', 0, { SUDO_UID: '-1' }, [0, 0]],
    ['root alone where SUDO_UID is several', 0, { SUDO_UID: '1000 1001' }, [0, 0]],
    ['root alone where SUDO_UID is another way to write a number', 0, { SUDO_UID: '0x3e8' }, [0, 0]],
    ['everybody where users have no numbers', undefined, { SUDO_UID: '1000' }, undefined],
  ])('%s', (_title, uid, env, expected) => {
    expect(trustedUsers(uid, env)).toEqual(expected);
  });
});

const hasIpv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ address }) => address === '::1'),
);
const everyPlace = [
  ['127.0.0.1', '127.0.0.1'],
  ['127.0.0.1', '::ffff:127.0.0.1'],
  ['[::1]', '::1'],
  ['localhost', '127.0.0.1'],
  ['localhost', '::1'],
  ['localhost', '::ffff:127.0.0.1'],
] as const;
const places = everyPlace.filter(([, at]) => hasIpv6 || !at.includes(':'));

describe.skipIf(platform !== 'linux')('where the kernel tells whose a connection is', () => {
  test.each(places)('an own answer counts: a listener on %s that is called at %s', async (host, at) => {
    const { port, request, received, refused } = await waiting({ host });
    const reply = callFromOutside({ host: at, port, request: request('own') });
    await (await received).respond(signedIn);
    expect(titleOf(await reply)).toBe('You are signed in');
    expect(refused).toEqual([]);
  });

  test('an own answer counts although its program has nothing more to send', async () => {
    const { port, request, received } = await waiting();
    const reply = callFromOutside({ port, request: request('own'), manner: 'half_closes' });
    await (await received).respond(signedIn);
    expect(titleOf(await reply)).toBe('You are signed in');
  });

  test.each(['closes', 'resets'] as const)(
    'an answer whose program %s its connection at once is of nobody, and does not count',
    async (manner) => {
      const person = await waiting();
      const { port, request, refused, listener } = person;
      callAndLeave({ port, request: request('gone'), manner });
      await expect.poll(() => refused, { timeout: 10_000 }).toEqual([{ uid: undefined, name: undefined }]);
      expect(listener.ignored).toBe(1);
      await expectOwnAnswer(person);
    },
  );
});

describe.skipIf(platform !== 'linux' || !canBeAnotherUser)('another user of this machine', () => {
  test.each(places)(
    'is refused and told; the own answer counts afterwards: a listener on %s that is called at %s',
    async (host, at) => {
      const person = await waiting({ host });
      const { port, request, refused, ignored } = person;
      const reply = await callFromOutside({ uid: nobody, host: at, port, request: request('foreign') });
      expect([reply.status, titleOf(reply)]).toEqual([403, 'This answer was not taken']);
      expect(reply.body).toContain('another user of this machine (uid 65534, nobody)');
      expectHarmless(reply, [state, 'foreign']);
      expect({ refused, ignored }).toEqual({ refused: [{ uid: nobody, name: 'nobody' }], ignored: [] });
      await expectOwnAnswer(person);
    },
  );

  test('is refused under every address that this machine has', async () => {
    const person = await waiting();
    const { port, request } = person;
    const calls = ['127.0.0.2', '127.255.0.9'].map((from) =>
      callFromOutside({ uid: stranger, from, port, request: request('foreign') }),
    );
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([403, 403]);
    expect(person.refused).toEqual(calls.map(() => ({ uid: stranger, name: undefined })));
    await expectOwnAnswer(person);
  });

  test('is refused although its program has nothing more to send', async () => {
    const person = await waiting();
    const { port, request, refused } = person;
    const call = { uid: nobody, port, request: request('foreign'), manner: 'half_closes' } as const;
    expect((await callFromOutside(call)).status).toBe(403);
    expect(refused).toEqual([{ uid: nobody, name: 'nobody' }]);
    await expectOwnAnswer(person);
  });

  test('is refused with an error that would end the sign-in', async () => {
    const person = await waiting();
    const { port, listener } = person;
    const request = requestText(listener.redirectUri, `/callback?error=access_denied&state=${state}`);
    expect((await callFromOutside({ uid: nobody, port, request })).status).toBe(403);
    await expectOwnAnswer(person);
  });

  test('is refused with a form', async () => {
    const { listener, port, received } = await waiting({ method: 'POST' });
    const form = (code: string) => formText(listener.redirectUri, '/callback', `code=${code}&state=${state}`);
    const reply = await callFromOutside({ uid: nobody, port, request: form('foreign') });
    expect(reply.status).toBe(403);
    expect(reply.body).not.toContain('paste it');
    void sendRaw(listener.redirectUri, form('own'));
    expect((await received).url.searchParams.get('code')).toBe('own');
  });

  test('is refused with any return, which needs no state', async () => {
    const { listener, port, received } = await waiting({ expects: 'any_return' });
    const request = requestText(listener.redirectUri, '/callback');
    const reply = await callFromOutside({ uid: nobody, port, request });
    expect(reply.status).toBe(403);
    expect(reply.body).not.toContain('paste it');
    void sendRaw(listener.redirectUri, requestText(listener.redirectUri, '/callback?own'));
    expect((await received).url.search).toBe('?own');
  });

  test('is told nothing of whose answers count while its state is wrong, or the answer is there', async () => {
    const { listener, port, request, received, refused } = await waiting();
    const wrong = requestText(listener.redirectUri, '/callback?code=c&state=wrong');
    const early = await callFromOutside({ uid: nobody, port, request: wrong });
    void sendRaw(listener.redirectUri, request('own'));
    await received;
    const late = await callFromOutside({ uid: nobody, port, request: request('foreign') });
    expect([early.status, late.status, refused]).toEqual([400, 409, []]);
  });

  test('does not learn the URL of a sign-in, even with the address where its listener tells it', async () => {
    const { listener, port } = await waiting();
    const address = listener.offer(new URL('https://acme.test/authorize?state=Xq0y4o0bYbQ0m1u5rC2o1A'));
    const request = requestText(address, new URL(address).pathname);
    const own = await callFromOutside({ port, request });
    const foreign = await callFromOutside({ uid: nobody, port, request });
    expect([own.status, foreign.status]).toEqual([200, 404]);
    expectHarmless(foreign, [state]);
  });

  test('may answer where it is the one who became root, and no other may', async () => {
    const { port, request, received, refused } = await waiting({
      trustedUsers: trustedUsers(0, { SUDO_UID: String(nobody) }),
    });
    const foreign = await callFromOutside({ uid: stranger, port, request: request('foreign') });
    const own = callFromOutside({ uid: nobody, port, request: request('own') });
    const { url, respond } = await received;
    await respond(signedIn);
    expect([foreign.status, (await own).status]).toEqual([403, 200]);
    expect(url.searchParams.get('code')).toBe('own');
    expect(refused).toEqual([{ uid: stranger, name: undefined }]);
  });

  test('may be root, who can do what this user can', async () => {
    const { port, request, received } = await waiting({ trustedUsers: trustedUsers(nobody, {}) });
    const reply = callFromOutside({ uid: 0, port, request: request('root') });
    await (await received).respond(signedIn);
    expect((await reply).status).toBe(200);
  });

  test('cannot keep the own answer out by one answer after the other', async () => {
    const person = await waiting();
    const { port, request } = person;
    const calls = Array.from({ length: 8 }, () =>
      callFromOutside({ uid: nobody, port, request: request('foreign') }),
    );
    expect((await Promise.race(calls)).status).toBe(403);
    await expectOwnAnswer(person);
    // Those that come later are told that the sign-in has its answer.
    expect((await Promise.all(calls)).filter(({ status }) => ![403, 409].includes(status))).toEqual([]);
  });
});
