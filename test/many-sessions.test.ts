import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { platform } from 'node:process';

import { expect, test } from 'vitest';

import { signedIn, type Newcomer } from './support/newcomer.js';
import { isOnPath, requirement } from './support/requirements.js';
import { onlySessionFile } from './support/sessions.js';

const timeout = 180_000;
const isCountable = platform === 'linux' && requirement('strace', isOnPath('strace'));

/** Whose each further session is. */
type Population = 'accounts of one provider' | 'providers';

/** Nobody opens them: what is sealed need not fit to what is said of it. */
function addSessions({ machine }: Newcomer, count: number, population: Population): void {
  const file = onlySessionFile(machine);
  const [header = '', sealed] = readFileSync(file, 'utf8').split('\n');
  const summary: { readonly account: object } = JSON.parse(header);
  for (let index = 0; index < count; index++) {
    const provider = population === 'providers' ? `other-${index}` : 'acme';
    const account = { ...summary.account, sub: `sub-${index}`, email: `person-${index}@acme.example` };
    const name = `${provider}@${index.toString(16).padStart(16, '0')}.session`;
    const text = `${JSON.stringify({ ...summary, provider, account })}\n${sealed}\n`;
    writeFileSync(join(dirname(file), name), text, { mode: 0o600 });
    if (population === 'accounts of one provider') continue;
    writeFileSync(join(dirname(file), `${provider}@current`), `${name}\n`, { mode: 0o600 });
  }
}

/** How often the program asks the system for a file below the folder of the sessions, among so many sessions. */
async function accesses(argv: readonly string[], sessions: number, population: Population): Promise<number> {
  const jane = await signedIn();
  const { machine } = jane;
  addSessions(jane, sessions, population);
  const log = join(machine.folder, 'calls');
  const strace = ['strace', '-f', '-qq', '-e', 'trace=%file', '-s', '4096', '-o', log];
  expect(await machine.start(argv, {}, strace).outcome).toMatchObject({ exitCode: 0 });
  const folder = join(machine.folder, 'state', 'sessions');
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder)).length;
}

const few = 20;

/** Status opens each session once. Each other provider has a pointer as well, of which the mode is looked at. */
const asked: Readonly<Record<Population, number>> = { 'accounts of one provider': 1, providers: 2 };

for (const population of ['accounts of one provider', 'providers'] as const) {
  for (const argv of [
    ['status'],
    ['status', '-p', 'acme'],
    ['store', 'status'],
    ['logout', '--all', '--no-revoke'],
    ['logout', '--no-revoke'],
  ]) {
    test.skipIf(!isCountable)(
      `authcli ${argv.join(' ')} does twice the work where there are twice the sessions, of many ${population}`,
      { timeout },
      async () => {
        const counts = [];
        for (const times of [1, 2, 4]) counts.push(await accesses(argv, few * times, population));
        const [one = 0, two = 0, four = 0] = counts;
        // What comes with each further session is the same again.
        const most = argv.includes('status') ? asked[population] : Infinity;
        expect(four - two).toBeLessThanOrEqual(2 * Math.min(1.05 * (two - one), few * most));
        expect(two).toBeGreaterThan(one);
      },
    );
  }

  test.skipIf(!isCountable)(
    `authcli token reads no session but its own, of many ${population}`,
    { timeout },
    async () => {
      expect(await accesses(['token'], 4 * few, population)).toBe(await accesses(['token'], 0, population));
    },
  );
}
