import { expect, test } from 'vitest';

import { login, newcomer } from './support/newcomer.js';

test.each([
  ['429', () => '1'],
  ['503', () => new Date(Date.now() + 2_000).toUTCString()],
])(
  'a refresh answered %s with a short Retry-After is sent once more, not before that',
  async (status, when) => {
    const { acme, machine } = await newcomer();
    await login(machine);
    const sentAt: number[] = [];
    const noteTime = async () => void sentAt.push(performance.now());
    acme.answerNext('/token', { status: Number(status), headers: { 'retry-after': when() } });
    acme.answerNext('/token', noteTime);
    const begunAt = performance.now();
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^\S+\n$/),
      stderr: '',
    });
    expect(acme.requestsTo('/token')).toHaveLength(3);
    expect(Number(sentAt[0]) - begunAt).toBeGreaterThanOrEqual(1_000);
  },
);

test.each([
  ['a long one', '60', 'in 60 s'],
  ['none that can be read', 'soon', 'in a moment'],
])('with %s it fails at once, and the session stays', async (_title, retryAfter, when) => {
  const { acme, machine } = await newcomer();
  await login(machine);
  acme.answerNext('/token', { status: 429, headers: { 'retry-after': retryAfter } });
  expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
    exitCode: 6,
    stdout: '',
    stderr:
      `error: the provider answers 429 at ${acme.issuer}/token\n` +
      `hint: try again ${when}; nothing that is stored was changed\n`,
  });
  expect(acme.requestsTo('/token')).toHaveLength(2);
  expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
});

test('a code is never sent a second time', async () => {
  const { acme, machine } = await newcomer();
  acme.answerNext('/token', { status: 503, headers: { 'retry-after': '1' } });
  expect(await login(machine)).toMatchObject({ exitCode: 6, stdout: '' });
  expect(acme.requestsTo('/token')).toHaveLength(1);
});
