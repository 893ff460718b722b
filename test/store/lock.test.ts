import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid, platform } from 'node:process';

import { describe, expect, onTestFinished, test } from 'vitest';

import { openLock, withLock, type Lock } from '../../src/store/lock.js';
import { toldOnce } from '../../src/told-once.js';

interface Place {
  readonly path: string;
  readonly surroundings: Parameters<typeof openLock>[1];
  readonly notices: string[];
}

/** In a folder of its own. */
function newPlace(system: NodeJS.Platform = platform): Place {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-lock-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const notices: string[] = [];
  return {
    path: join(folder, 'some.lock'),
    surroundings: {
      folder,
      ownership: { uid: getuid?.(), warn: () => {} },
      locking: { platform: system, notice: (text) => notices.push(text) },
    },
    notices,
  };
}

async function open({ path, surroundings }: Place): Promise<Lock> {
  const lock = await openLock(path, surroundings);
  onTestFinished(() => lock.release());
  return lock;
}

test('who waits is told so, and has the lock soon after it became free', async () => {
  const place = newPlace();
  const holder = await open(place);
  expect(await holder.tryAcquire()).toBe(true);

  const told: string[] = [];
  let freedAt = 0;
  const waiting = (what: string): void => {
    told.push(what);
    freedAt = performance.now();
    holder.release();
  };
  const { signal } = new AbortController();
  const surroundings = { ...place.surroundings, signal, waiting };
  const takenAt = await withLock(place.path, surroundings, async () => performance.now());
  expect(told).toEqual(['Waiting for another authcli that is working on this session (30 s at most).']);
  expect(takenAt - freedAt).toBeLessThan(1_000);
  expect(place.notices).toEqual([]);
});

async function takeLock(): Promise<string> {
  throw new Error('the lock was taken');
}

test('who waits leaves with an answer that comes meanwhile, and never takes the lock', async () => {
  const place = newPlace();
  const holder = await open(place);
  expect(await holder.tryAcquire()).toBe(true);
  const answers = [undefined, undefined, 'the new token'];
  const { signal } = new AbortController();
  const surroundings = { ...place.surroundings, signal, waiting: () => {} };
  const answer = withLock(place.path, surroundings, takeLock, async () => answers.shift());
  expect(await answer).toBe('the new token');
});

describe.each<NodeJS.Platform>(platform === 'linux' ? ['linux', 'darwin'] : [platform])(
  'as on %s',
  (system) => {
    test('one of two has the lock, until it gives it back', async () => {
      const place = newPlace(system);
      const [first, second] = [await open(place), await open(place)];
      expect(await first.tryAcquire()).toBe(true);
      expect(await first.tryAcquire()).toBe(true);
      expect(await second.tryAcquire()).toBe(false);
      first.release();
      expect(await second.tryAcquire()).toBe(true);
      expect(await first.tryAcquire()).toBe(false);
    });

    test('a lock on a file that was replaced meanwhile is not taken for the lock', async () => {
      const place = newPlace(system);
      const early = await open(place);
      renameSync(place.path, `${place.path}.old`);
      const late = await open(place);
      expect(await early.tryAcquire()).toBe(true);
      expect(await late.tryAcquire()).toBe(false);
      early.release();
      rmSync(place.path);
      expect(await late.tryAcquire()).toBe(true);
      expect(statSync(place.path).isFile()).toBe(true);
    });
  },
);

/** Of all locks that are held on this machine. */
function names(): string[] {
  const all = readFileSync('/proc/net/unix', 'utf8').match(/@authcli-\S+/g) ?? [];
  return all.map((name) => name.slice(1));
}

describe.skipIf(platform !== 'linux')('the name under which a lock is held', () => {
  test('is of full length, so that it is the same for every version of Node, and differs from folder to folder', async () => {
    const before = new Set(names());
    for (const place of [newPlace(), newPlace()]) expect(await (await open(place)).tryAcquire()).toBe(true);
    const ours = names().filter((name) => !before.has(name));
    expect(new Set(ours).size).toBeGreaterThanOrEqual(2);
    for (const name of ours) expect(name).toMatch(/^authcli-[0-9a-f]{64}-{35}$/);
  });

  test('answers nobody who connects to it, and ends the connection with the lock', async () => {
    const before = new Set(names());
    const lock = await open(newPlace());
    expect(await lock.tryAcquire()).toBe(true);
    const name = names().find((each) => !before.has(each)) ?? '';
    const caller = connect(`\0${name}`).resume();
    await once(caller, 'connect');
    caller.write('x'.repeat(1_000));
    lock.release();
    // It ends with a reset, because nobody read what it said.
    await new Promise((resolve) => caller.on('error', () => {}).on('close', resolve));
    expect(caller.bytesRead).toBe(0);
  });
});

test('a random part that was cut is refused, naming the file', async () => {
  const place = newPlace('linux');
  const path = join(place.surroundings.folder, '.authcli-lock-name');
  writeFileSync(path, '0123\n', { mode: 0o600 });
  await expect(openLock(place.path, place.surroundings)).rejects.toMatchObject({
    code: 'store',
    message: `${path} is damaged`,
    remedy: { kind: 'advice', text: `remove it while no authcli is running: ${path}` },
  });
});

test('however often a limit is met, it is told once', () => {
  const told: string[] = [];
  const tell = toldOnce((text) => told.push(text));
  for (const text of ['a', 'b', 'a', 'a']) tell(text);
  expect(told).toEqual(['a', 'b']);
});
