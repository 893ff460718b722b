import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

import { expect, test } from 'vitest';

import * as budgets from '../src/time-budgets.js';
import { canUseTerminal, inTerminal } from './hostile/pty.js';
import { login, newcomer, signedIn } from './support/newcomer.js';

const file = { AUTHCLI_STORE: 'file' };

function page(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

test('docs/reliability.md has a row for each time budget, with the number that the code has', () => {
  const rows = [...page('docs/reliability.md').matchAll(/^\| `(\w+Ms)` +\| +(\d+) s +\|/gm)];
  const documented = Object.fromEntries(rows.map(([, name, seconds]) => [name, Number(seconds) * 1000]));
  expect(documented).toEqual({ ...budgets });
});

test.each([
  ['docs/security.md', /a call ends within (\d+) s/, budgets.keychainCallMs],
  ['docs/security.md', /within (\d+) s \(\d+ s for the code exchange\) and 1 MiB/, budgets.requestMs],
  ['docs/security.md', /within \d+ s \((\d+) s for the code exchange\) and 1 MiB/, budgets.codeExchangeMs],
  ['docs/security.md', /refreshes \(exit 8 after (\d+) s\)/, budgets.lockWaitMs],
  ['docs/reliability.md', /others: exit 8 after (\d+) s/, budgets.lockWaitMs],
  ['CHANGELOG.md', /does not answer within (\d+) s/, budgets.requestMs],
  ['CHANGELOG.md', /code exchange has (\d+) s/, budgets.codeExchangeMs],
  ['bin/refresh-helper.js', /(\d+) for the lock/, budgets.lockWaitMs],
  ['bin/refresh-helper.js', /, (\d+) for the provider/, budgets.refreshMs],
  ['bin/refresh-helper.js', /longestSeconds = (\d+);/, budgets.commandMs],
])('%s says %s as the code has it', (path, sentence, budgetMs) => {
  expect(Number(sentence.exec(page(path))?.[1]) * 1000).toBe(budgetMs);
});

test('the key, the wait for a lock and a refresh fit into a command', () => {
  const { keychainCallMs, lockWaitMs, refreshMs, commandMs, requestMs } = budgets;
  expect(keychainCallMs + lockWaitMs + refreshMs).toBeLessThan(commandMs);
  expect(2 * requestMs).toBeLessThan(refreshMs);
});

test('token --login has one deadline for the silent try and for the sign-in', async () => {
  const { acme, machine } = await signedIn(file);
  acme.endSessions();
  acme.answerNext('/token', () => pause(4_000));
  const begun = performance.now();
  const argv = ['token', '--force-refresh', '--login', '--timeout', '5s'];
  expect(await machine.spawn(argv, { AUTHCLI_BROWSER: 'none' })).toEqual({
    exitCode: 8,
    stdout: '',
    stderr: expect.stringMatching(/\nerror: .*\n/),
  });
  expect(performance.now() - begun).toBeLessThan(8_000);
});

test.skipIf(!canUseTerminal).each([
  ['login', ['login', '--browser', 'none']],
  ['token --login', ['token', '--login']],
])('%s leaves the person five minutes', async (_title, argv) => {
  const { machine } = await newcomer({ ...file, AUTHCLI_BROWSER: 'none' });
  const terminal = inTerminal(machine, argv);
  await terminal.shown(/\((5:00|4:5\d) left/);
  terminal.type('\x03');
  expect(await terminal.ended).toMatchObject({ exitCode: 130 });
});

test('a provider that takes 14 s for the code exchange still signs the person in', async () => {
  const { acme, machine } = await newcomer(file);
  acme.answerNext('/token', () => pause(14_000));
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  expect(acme.requestsTo('/token')).toHaveLength(1);
});
