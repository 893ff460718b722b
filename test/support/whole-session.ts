import { expect } from 'vitest';

import { login } from './newcomer.js';
import type { Machine, Outcome } from './run.js';

export const good: Outcome = { exitCode: 0, stdout: expect.any(String), stderr: '' };
/** Of the address alone is even a quiet person told. */
export const quietLogin: Outcome = {
  exitCode: 0,
  stdout: '',
  stderr: expect.stringMatching(/^\n {2}https?:\S+\n\n$/),
};

/** From the first sign-in to the last sign-out, each with the built program; everything that was said. */
export async function wholeSession(machine: Machine): Promise<string> {
  const outcomes = [await login(machine)];
  for (const argv of [['token'], ['token', '--force-refresh'], ['whoami', '--json'], ['logout', '-q']]) {
    outcomes.push(await machine.spawn(argv));
  }
  expect(outcomes).toEqual([quietLogin, good, good, good, good]);
  expect(outcomes[2]?.stdout).not.toBe(outcomes[1]?.stdout);
  expect(outcomes[3]?.stdout).toContain('"email":"jane@acme.test"');
  return outcomes.map(({ stdout, stderr }) => stdout + stderr).join('');
}
