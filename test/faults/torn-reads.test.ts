import { env } from 'node:process';

import { expect, test } from 'vitest';

import { signedIn } from '../support/newcomer.js';
import type { Outcome } from '../support/run.js';
import { success } from './session.js';

/** 1,000 in `npm run test:faults`. */
const writes = Number(env['AUTHCLI_FAULT_WRITES'] ?? 20);

test(
  `readers during ${writes} writes see the old session or the new one, whole`,
  { timeout: 1_800_000 },
  async ({ task }) => {
    const { machine } = await signedIn();
    let isWriting = true;
    const seen: Outcome[] = [];
    const reader = async (): Promise<void> => {
      while (isWriting) seen.push(await machine.spawn(['token']));
    };
    const readers = [reader(), reader()];
    for (let write = 0; write < writes; write++) {
      expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
    }
    isWriting = false;
    await Promise.all(readers);
    expect(seen.length).toBeGreaterThan(writes / 2);
    for (const outcome of seen) expect(outcome).toEqual(success);
    task.meta.measured = { rounds: writes, result: `0 of ${seen.length} reads torn` };
  },
);
