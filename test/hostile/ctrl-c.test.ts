import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { newcomer } from '../support/newcomer.js';
import { canUseTerminal, inTerminal } from './pty.js';

/** Of the cursor, which a spinner hides. */
const shown = '\u001B[?25h';
const hidden = '\u001B[?25l';

test.skipIf(!canUseTerminal).each([
  ['while the spinner turns', ['login', '--no-browser'], /Waiting for the sign-in/],
  ['while only the address is shown', ['login', '--no-browser', '-q'], /http:\S+state=/],
])('Ctrl-C %s leaves nothing of the sign-in behind', async (_when, argv, waiting) => {
  const { machine } = await newcomer();
  const terminal = inTerminal(machine, argv);
  await terminal.shown(waiting);
  const sessions = join(machine.folder, 'state', 'sessions');
  expect(existsSync(join(sessions, 'acme@login'))).toBe(true);
  terminal.type('\x03');
  const { exitCode, screen } = await terminal.ended;
  expect(exitCode).toBe(130);
  expect(screen.lastIndexOf(shown)).toBeGreaterThanOrEqual(screen.lastIndexOf(hidden));
  expect(readdirSync(sessions).filter((name) => !name.endsWith('.lock'))).toEqual([]);
});
