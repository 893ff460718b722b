import { cpSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { getuid, platform } from 'node:process';

import { describe, expect, test } from 'vitest';

import { serveRefresh } from '../../src/client/refresh-helper.js';
import { newcomer, signedIn } from '../support/newcomer.js';
import { childrenOf } from '../support/processes.js';
import { isOnPath, requirement } from '../support/requirements.js';
import type { Machine, Outcome } from '../support/run.js';
import { onlySessionFile, sealedSession, sessionFiles } from '../support/sessions.js';
import { approvesAs, browserOf } from '../support/user-agents.js';
import { expectNoneUsedTwice, success } from './session.js';

const refresh = ['token', '--force-refresh'];
const refused = {
  status: 400,
  headers: { 'content-type': 'application/json' },
  body: '{"error":"invalid_grant"}',
};

function refuse(response: ServerResponse): void {
  response.writeHead(refused.status, refused.headers).end(refused.body);
}

/** Another machine, or a container with a network of its own, that has the same sessions and cannot see our locks. */
function elsewhere({ folder, ...machine }: Machine): (argv: readonly string[]) => Promise<Outcome> {
  const state = join(folder, 'elsewhere');
  cpSync(join(folder, 'state'), state, { recursive: true });
  rmSync(join(state, '.authcli-lock-name'));
  return async (argv) => {
    const outcome = await machine.spawn(argv, { AUTHCLI_STATE_DIR: state });
    const session = readdirSync(join(state, 'sessions')).find((name) => name.endsWith('.session')) ?? '';
    cpSync(join(state, 'sessions', session), join(folder, 'state', 'sessions', session));
    return outcome;
  };
}

describe('a session that somebody else has refreshed while the provider refused our refresh token', () => {
  test('is not ended: the newer token is printed', async () => {
    const { acme, machine } = await signedIn();
    const other = elsewhere(machine);
    let theirs: Outcome | undefined;
    acme.answerNext('/token', async (_request, response) => {
      theirs = await other(refresh);
      refuse(response);
    });
    const ours = await machine.spawn(refresh);
    expect(theirs).toEqual(success);
    expect(ours).toEqual(theirs);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test('is refreshed with the newer refresh token where that token is not the one that is wanted', async () => {
    const { acme, machine } = await signedIn();
    const other = elsewhere(machine);
    acme.answerNext('/token', async (_request, response) => {
      expect(await other(refresh)).toEqual(success);
      refuse(response);
    });
    expect(await machine.spawn([...refresh, '--scope', 'openid email'])).toEqual(success);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test('is ended where it holds the very refresh token that was refused', async () => {
    const { acme, machine } = await signedIn();
    acme.answerNext('/token', refused);
    expect(await machine.spawn(refresh)).toMatchObject({ exitCode: 4, stdout: '' });
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
  });
});

describe('the room that a refresh keeps for its answer', () => {
  test.skipIf(platform !== 'linux')(
    'is not swept while its helper is frozen, though another refresh sees a clock that is 11 minutes on',
    async () => {
      const { acme, machine } = await newcomer();
      for (const who of ['jane@acme.test', 'john@acme.test'])
        await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approvesAs(who)));
      const sessions = dirname(onlySessionFile(machine));
      const kept = () => readdirSync(sessions).filter((name) => name.endsWith('.tmp'));
      let helper = 0;
      let before: string[] = [];
      acme.answerNext('/token', async () => {
        [helper = 0] = childrenOf(running.pid);
        process.kill(helper, 'SIGSTOP');
        before = kept();
        expect(await refreshAt(later, machine, '-a', 'john')).toMatchObject({ exitCode: 0, stderr: '' });
        expect(before.length).toBeGreaterThan(0);
        expect(kept()).toEqual(before);
        process.kill(helper, 'SIGCONT');
      });
      const running = machine.start([...refresh, '-a', 'jane']);
      expect(await running.outcome).toEqual(success);
      expect(kept()).toEqual([]);
      expect(await machine.spawn([...refresh, '-a', 'jane'])).toEqual(success);
      expectNoneUsedTwice(acme);
    },
  );

  test('is swept when nobody holds the lock of its session, whichever session that is', async () => {
    const { machine } = await signedIn();
    const file = onlySessionFile(machine);
    const orphans = ['gone@0123456789abcdef.session', basename(file), 'acme@current'].map((name) =>
      join(dirname(file), `.${name}.${'0'.repeat(18)}.tmp`),
    );
    for (const path of orphans) {
      writeFileSync(path, '');
      utimesSync(path, 0, 0);
    }
    expect(await machine.spawn(refresh)).toEqual(success);
    expect(readdirSync(dirname(file)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('may vanish: the session is then written anew', async () => {
    const { acme, machine } = await signedIn();
    const sessions = dirname(onlySessionFile(machine));
    acme.answerNext('/token', async () => {
      const kept = readdirSync(sessions).filter((name) => name.endsWith('.tmp'));
      expect(kept.length).toBeGreaterThan(0);
      for (const name of kept) rmSync(join(sessions, name));
    });
    const before = sealedSession(machine);
    expect(await machine.spawn(refresh)).toEqual(success);
    expect(sealedSession(machine)).not.toBe(before);
    expect(await machine.spawn(refresh)).toEqual(success);
    expectNoneUsedTwice(acme);
  });
});

function later(): Date {
  return new Date(Date.now() + 11 * 60_000);
}

/** In this process, whose clock says something else. */
function refreshAt(now: () => Date, machine: Machine, ...argv: string[]): Promise<Outcome> {
  return machine.run([...refresh, ...argv], {
    now,
    askRefreshHelper: (request) =>
      serveRefresh(request, {
        ownership: { uid: getuid?.(), warn: () => {} },
        locking: { platform, notice: () => {} },
        now,
        env: {},
      }),
  });
}

describe.skipIf(platform !== 'linux' || !requirement('strace', isOnPath('strace')))(
  'on a file system without locks',
  () => {
    test.each([
      ['ENOLCK', 'gives no locks'],
      ['EOPNOTSUPP', 'knows no locks'],
      ['ENOSYS', 'knows no locks'],
      ['EBADF', 'refuses locks'],
    ])(
      '%s: a refresh goes on under the lock by name, and says once what it cannot keep out',
      async (code, words) => {
        const { machine } = await signedIn();
        const queue = `${onlySessionFile(machine)}.queue`;
        const starter = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', queue, '-e', 'trace=fcntl'];
        const without = (...argv: string[]) =>
          machine.start([...refresh, ...argv], {}, [...starter, '-e', `inject=fcntl:error=${code}`]).outcome;
        expect(await without()).toEqual({
          ...success,
          stderr:
            `warning: cannot lock ${queue}: its file system ${words}: an authcli in another container or on another machine ` +
            'that shares the folder is not waited for (AUTHCLI_STATE_DIR names another folder)\n',
        });
        expect(await without('-q')).toEqual(success);
      },
    );
  },
);

test('the random part of the locks’ names is made once, by whichever of many processes is first', async () => {
  const { machine } = await signedIn();
  const path = join(machine.folder, 'state', '.authcli-lock-name');
  rmSync(path);
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => machine.spawn(refresh)));
  expect(outcomes).toEqual(outcomes.map(() => success));
  expect(readFileSync(path, 'utf8')).toMatch(/^[0-9a-f]{32}\n$/);
  expect(readdirSync(join(machine.folder, 'state')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(sessionFiles(machine)).toHaveLength(1);
});
