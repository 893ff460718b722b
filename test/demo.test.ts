import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, execPath, platform } from 'node:process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyringInstalled, startKeyring } from './support/keyring.js';
import { isOnPath, requirement } from './support/requirements.js';

const hasSignals = platform !== 'win32';
const hasKeyring = requirement('gnome-keyring', keyringInstalled() && isOnPath('secret-tool'));
const nothing = { files: [], processes: [] };
const folders = mkdtempSync(join(tmpdir(), 'authcli-demo-test-'));

beforeAll(async () => {
  await import('../demo/bundle.js');
});

afterAll(() => {
  rmSync(folders, { recursive: true });
});

describe.concurrent('npm run demo', { timeout: 40_000 }, () => {
  test('shows the main job in plain text in less than 30 s, and leaves nothing behind', async () => {
    const began = performance.now();
    const demo = startDemo();
    expect(await demo.ended).toEqual({ exitCode: 0, failures: [] });
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(milestones(demo.lines)).toEqual([
      '1. Sign in',
      '2. Use the token',
      '3. Let it expire',
      '4. Sign out',
      '✓ signed in as Jane through a headless user agent; the session is sealed, its key is in a file that only you can read (no usable keychain here)',
      '✓ the API accepted the access token from `authcli token`',
      '✓ the expired access token was refreshed silently',
      '✓ signed out; the API and `authcli token` (exit code 4) say so',
      '✓ nothing of it is left on this machine',
    ]);
    expect(demo.whatIsLeft()).toEqual(nothing);

    const output = demo.lines.join('\n');
    expect(output).not.toContain('\u001B');
    expect(output).not.toMatch(/Bearer [\w-]{20}/);
  });

  test('where no folder can be made says so in one line, and what to do', async () => {
    const demo = startDemo([], { TMPDIR: '/nonexistent', TEMP: '/nonexistent' });
    const failures = ['✗ the demo failed: no folder can be made in /nonexistent (ENOENT)'];
    expect(await demo.ended).toEqual({ exitCode: 1, failures });
    const hint = `   hint: set ${platform === 'win32' ? 'TEMP' : 'TMPDIR'} to a folder that takes files`;
    expect(demo.lines).toEqual([...failures, hint]);
  });

  test.runIf(hasKeyring)(
    'keeps its key in the keychain where there is one, and takes it out again',
    async ({ onTestFinished }) => {
      const keyring = await startKeyring();
      onTestFinished(() => keyring.stop());
      const demo = startDemo([], keyring.env);
      expect(await demo.ended).toEqual({ exitCode: 0, failures: [] });
      expect(milestones(demo.lines)).toContain(
        "✓ signed in as Jane through a headless user agent; the session is sealed, its key is in the system's keychain",
      );
      const items = await promisify(execFile)('secret-tool', ['search', '--all', 'service', 'authcli'], {
        env: { ...env, ...keyring.env },
      });
      expect(items).toEqual({ stdout: '', stderr: '' });
    },
  );

  test.runIf(hasSignals)('with --stay keeps the provider up until Ctrl-C', async () => {
    const demo = startDemo(['--stay']);
    const [issuer] = /http:\S+/.exec(await demo.line(/until Ctrl-C/)) ?? [];
    const metadata = await fetch(`${issuer}/.well-known/openid-configuration`);
    expect(await metadata.json()).toMatchObject({ issuer });
    demo.interrupt();
    expect(await demo.ended).toEqual({ exitCode: 0, failures: [] });
    expect(demo.whatIsLeft()).toEqual(nothing);
    await expect(fetch(String(issuer))).rejects.toThrow('fetch failed');
  });

  test.runIf(hasSignals).each([/authcli login/, /Some seconds later/])(
    'interrupted at %s it ends with 130 and leaves nothing behind',
    async (moment) => {
      const demo = startDemo();
      await demo.line(moment);
      demo.interrupt();
      expect(await demo.ended).toEqual({
        exitCode: 130,
        failures: ['✗ interrupted; nothing of the demo is left on this machine'],
      });
      expect(demo.whatIsLeft()).toEqual(nothing);
    },
  );
});

/** The demo as on a machine without display, with all that it writes in a folder of its own. */
function startDemo(args: readonly string[] = [], more: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(folders, 'home-'));
  const demo = spawn(execPath, ['build/demo.js', ...args], {
    env: {
      PATH: env['PATH'],
      HOME: folder,
      TMPDIR: folder,
      TEMP: folder,
      XDG_RUNTIME_DIR: folder,
      ...more,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const output = createInterface({ input: demo.stdout }).on('line', (line) => lines.push(line));
  return {
    lines,
    ended: once(demo, 'close').then(([exitCode]: unknown[]) => ({
      exitCode,
      failures: lines.filter((line) => line.startsWith('✗')),
    })),
    interrupt: () => demo.kill('SIGINT'),
    line: async (pattern: RegExp) => {
      for await (const line of output) if (pattern.test(line)) return line;
      throw new Error(`the demo ended without ${pattern}:\n${lines.join('\n')}`);
    },
    whatIsLeft: () => ({ files: readdirSync(folder), processes: processesThatKnow(folder) }),
  };
}

function milestones(lines: readonly string[]): string[] {
  return lines.filter((line) => /^(\d\.|[✓✗]) /.test(line));
}

/** Of the running processes those that have `text` in their environment, where the system tells. */
function processesThatKnow(text: string): string[] {
  if (platform !== 'linux') return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(text);
    } catch {
      return false;
    }
  });
}
