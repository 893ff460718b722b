import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid, platform } from 'node:process';

import { expect, onTestFinished, test } from 'vitest';

import { openLock, withLock } from '../../src/store/lock.js';

test('who waits is told so, and has the lock soon after it became free', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-lock-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'lock');
  const surroundings = {
    folder,
    ownership: { uid: getuid?.(), warn: () => {} },
    locking: { platform, notice: () => {} },
  };
  const holder = await openLock(path, surroundings);
  expect(await holder.tryAcquire()).toBe(true);

  const told: string[] = [];
  let freedAt = 0;
  const waiting = (what: string): void => {
    told.push(what);
    freedAt = performance.now();
    holder.release();
  };
  const { signal } = new AbortController();
  const takenAt = await withLock(path, { ...surroundings, signal, waiting }, async () => performance.now());
  expect(told).toEqual(['Waiting for another authcli that is working on this session (30 s at most).']);
  expect(takenAt - freedAt).toBeLessThan(1_000);
});
