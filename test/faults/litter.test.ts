import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';

import { expect, test } from 'vitest';

import { signedIn } from '../support/newcomer.js';
import type { Machine } from '../support/run.js';
import { success } from './session.js';

/** 1,000 in `npm run test:faults`. */
const runs = Number(env['AUTHCLI_FAULT_RUNS'] ?? 20);

test(
  `CON-12: ${runs} runs of token leave nothing behind`,
  { timeout: 60_000 + runs * 1_000 },
  async ({ task }) => {
    const { machine } = await signedIn();
    const temporary = join(machine.folder, 'tmp');
    mkdirSync(temporary);
    const token = (...argv: string[]) => machine.spawn(['token', ...argv], { TMPDIR: temporary });
    expect(await token('--force-refresh')).toEqual(success);
    const before = entries(machine);
    for (let run = 1; run <= runs; run++) {
      // Now and then one that writes.
      expect(await token(...(run % 10 === 0 ? ['--force-refresh'] : []))).toEqual(success);
    }
    expect(entries(machine)).toEqual(before);
    task.meta.measured = { rounds: runs, result: `${before.length} entries before and after` };
  },
);

/** Of all of the machine's folders. */
function entries({ folder }: Machine): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
}
