import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath, kill, platform } from 'node:process';

import { rolldown } from 'rolldown';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { AuthError } from '../../src/errors.js';
import { systemBrowser } from '../../src/platform/browser.js';
import { browserStubs, type BrowserStubs } from '../support/browser-stub.js';

const url = new URL(
  'https://as.example/authorize?a=$&b=$(touch X)&c=`touch X`;|%20\'"%USERPROFILE%&d=\u2028',
);

const relative = (program: string) =>
  `${JSON.stringify(program)} would be another program in each folder; name it by its whole path`;

let folder: string;
let stubs: BrowserStubs;

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'authcli-browser-')));
  stubs = await browserStubs(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

function browserWith(variables: Record<string, string | undefined> = {}): ReturnType<typeof systemBrowser> {
  const env = { PATH: join(folder, 'bin'), ...variables };
  return systemBrowser({ env, folder, platform: 'linux', execPath });
}

describe.skipIf(platform !== 'linux')('--browser', () => {
  test.for([
    { what: 'a path with spaces', agent: 'my agent', command: 'FOLDER/my agent', options: [] },
    { what: 'an absolute path', agent: 'agent', command: 'FOLDER/agent', options: [] },
    { what: 'a name on the PATH', agent: 'bin/agent', command: 'agent', options: [] },
    { what: 'a name with spaces on the PATH', agent: 'bin/my agent', command: 'my agent', options: [] },
    { what: 'a browser’s name', agent: 'bin/google-chrome-stable', command: 'Chrome', options: [] },
    {
      what: 'a browser’s name with options',
      agent: 'bin/chromium',
      command: 'chrome --incognito',
      options: ['--incognito'],
    },
    {
      what: 'words',
      agent: 'bin/agent',
      command: ' agent  --new-window -P work ',
      options: ['--new-window', '-P', 'work'],
    },
    {
      what: 'a quoted path and quoted words',
      agent: 'my agent',
      command: `'FOLDER/my agent' "a 'b'" c\\ d '' e"f"`,
      options: ["a 'b'", 'c d', '', 'ef'],
    },
    {
      what: 'words that a shell would run or expand',
      agent: 'bin/agent',
      command: 'agent ; touch X $(touch X) `touch X` $HOME ~ * > X',
      options: [';', 'touch', 'X', '$(touch', 'X)', '`touch', 'X`', '$HOME', '~', '*', '>', 'X'],
    },
    {
      what: 'escapes in double quotes',
      agent: 'bin/agent',
      command: 'agent "\\"\\$\\n\\\\"',
      options: ['"$\\n\\'],
    },
  ])('may be $what', async ({ agent, command, options }) => {
    const program = stubs.write(agent);
    const launch = await browserWith()(url, command.replace('FOLDER', folder));

    expect(launch).toEqual({ kind: 'launched' });
    const { program: started, arguments: received, cwd, pid, group } = await stubs.next();
    expect({ started, received, cwd }).toEqual({
      started: program,
      received: [...options, url.href],
      cwd: folder,
    });
    expect(group).toBe(pid);
  });

  test('puts the URL where %s stands, as one argument', async () => {
    stubs.write('bin/agent');
    await browserWith()(url, 'agent --app=%s --then %s');
    expect((await stubs.next()).arguments).toEqual([`--app=${url.href}`, '--then', url.href]);
  });

  test('gives a browser the environment that was prepared for it, and nothing of this process', async () => {
    stubs.write('bin/agent');
    await browserWith({ DISPLAY: ':7', HOME: '/h' })(url, 'agent');
    const { env: received } = await stubs.next();
    expect(received).toEqual({ DISPLAY: ':7', HOME: '/h', PATH: join(folder, 'bin') });
  });

  test.for([
    { what: 'the first that is installed', list: 'none-such:bin/agent:FOLDER/other', started: 'other' },
    { what: 'the first that starts', list: 'FOLDER/failing:agent -x', started: 'bin/agent' },
    { what: 'a browser’s name after another', list: 'firefox:chrome', started: 'bin/chromium' },
    { what: 'one after a relative path', list: './agent:agent', started: 'bin/agent' },
    { what: 'a program with a colon in its name', list: 'FOLDER/a:b', started: 'a:b' },
  ])('of a list takes $what', async ({ list, started }) => {
    for (const name of ['agent', 'other', 'bin/agent', 'bin/chromium', 'a', 'a:b']) stubs.write(name);
    writeFileSync(join(folder, 'failing'), '#!/bin/sh\nexit 3\n', { mode: 0o755 });
    const launch = await browserWith()(url, list.replace('FOLDER', folder));
    expect(launch).toMatchObject({ kind: 'launched' });
    expect(await stubs.next()).toMatchObject({ program: join(folder, started) });
    expect(stubs.count).toBe(1);
  });

  test('says of each of a list why it was not started', async () => {
    expect(await browserWith()(url, 'none-such:./agent:firefox')).toEqual({
      kind: 'not_launched',
      reason: `there is no program "none-such"; ${relative('./agent')}; firefox is not installed`,
    });
  });

  test.for([
    { what: 'a program of the current folder', command: 'agent', reason: 'there is no program "agent"' },
    {
      what: 'a file that cannot be executed',
      command: 'FOLDER/plain',
      reason: 'there is no program "FOLDER/plain"',
    },
    { what: 'a folder', command: 'FOLDER/bin', reason: 'there is no program "FOLDER/bin"' },
    { what: 'a relative path', command: './agent', reason: relative('./agent') },
    { what: 'a relative path with words', command: 'sub/agent -n', reason: relative('sub/agent') },
    {
      what: 'an open quote',
      command: 'agent "x',
      reason: 'the browser command has a quote that is not closed',
    },
    { what: 'only spaces', command: '  ', reason: 'there is no program ""' },
    { what: 'a browser that is not installed', command: 'firefox', reason: 'firefox is not installed' },
    { what: 'a browser of another system', command: 'safari', reason: 'safari is not installed' },
    {
      what: 'a broken interpreter',
      command: 'FOLDER/broken',
      reason: 'the browser could not be started (ENOENT)',
    },
  ])('says why $what was not started', async ({ command, reason }) => {
    stubs.write('agent');
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'plain'), '');
    writeFileSync(join(folder, 'broken'), '#!/no/such/interpreter\n', { mode: 0o755 });
    const browser = browserWith({ PATH: `:.:bin/..:${join(folder, 'bin')}` });
    const fill = (text: string) => text.replace('FOLDER', folder);
    expect(await browser(url, fill(command))).toEqual({ kind: 'not_launched', reason: fill(reason) });
  });

  test('says when the program failed at once', async () => {
    const program = stubs.write('agent', 'process.exit(3)');
    expect(await browserWith()(url, program)).toEqual({
      kind: 'not_launched',
      reason: `${program} ended with exit code 3`,
    });
    stubs.write('agent', "process.kill(process.pid, 'SIGKILL')");
    expect(await browserWith()(url, program)).toEqual({
      kind: 'not_launched',
      reason: `${program} ended with SIGKILL`,
    });
  });

  test(
    'a browser that stays open is launched after a second, outlives us and does not keep us alive',
    { timeout: 20_000 },
    async () => {
      stubs.write('agent', "setInterval(() => process.stdout.write('x'.repeat(10_000_000)), 1000)");
      const bundle = await rolldown({
        input: 'src/platform/browser.ts',
        platform: 'node',
        external: ['open'],
      });
      await bundle.write({ dir: folder, format: 'esm' });
      const program = `
import { systemBrowser } from './browser.js';
const launch = systemBrowser({ env: {}, folder: '.', platform: 'linux', execPath: process.execPath })(new URL('https://as.example/'), ${JSON.stringify(join(folder, 'agent'))});
if (process.argv[2] === 'wait') {
  const alive = setInterval(() => {}, 1000);
  console.log((await launch).kind);
  clearInterval(alive);
}
`;
      writeFileSync(join(folder, 'login.mjs'), program);

      for (const mode of ['leave', 'wait']) {
        const report = stubs.next();
        // Also where the login below does not end by itself.
        onTestFinished(async () => void kill((await report).pid, 'SIGKILL'));
        const started = performance.now();
        const login = spawn(execPath, ['login.mjs', mode], {
          cwd: folder,
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        onTestFinished(() => void login.kill('SIGKILL'));
        // Its output ends when nobody holds the other end any more: a browser that had inherited it would keep it open.
        const [[code], output] = await Promise.all([
          once(login, 'exit'),
          login.stdout.setEncoding('utf8').toArray(),
        ]);
        const took = performance.now() - started;
        const { pid } = await report;
        const outlived = kill(pid, 0);
        expect({ code, output: output.join('') }).toEqual({
          code: 0,
          output: mode === 'wait' ? 'launched\n' : '',
        });
        expect(took).toBeLessThan(mode === 'wait' ? 3000 : 1000);
        expect(outlived).toBe(true);
      }
    },
  );
});

/** A PATH with what the opener of the system needs, and with no browser of this machine. */
function toolsOnly(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const tool of ['grep', 'sed']) symlinkSync(join('/bin', tool), join(bin, tool));
  return bin;
}

describe.skipIf(platform !== 'linux')('the default browser', () => {
  test('is not tried without a display', async () => {
    expect(await browserWith()(url, undefined)).toEqual({ kind: 'not_launched', reason: 'no display' });
    expect(await browserWith({ DISPLAY: '', WAYLAND_DISPLAY: '' })(url, undefined)).toEqual({
      kind: 'not_launched',
      reason: 'no display',
    });
  });

  test.for([{ DISPLAY: ':7' }, { WAYLAND_DISPLAY: ':7' }, { WSL_DISTRO_NAME: 'x', DISPLAY: ':7' }])(
    'gets the URL as one argument, with %o',
    async (variables) => {
      const PATH = toolsOnly();
      stubs.write('bin/x-www-browser');
      expect(await browserWith({ PATH, ...variables })(url, undefined)).toEqual({ kind: 'launched' });
      const { arguments: received, cwd, env } = await stubs.next();
      expect({ received, cwd }).toEqual({ received: [url.href], cwd: folder });
      expect(env).toMatchObject({ PATH, ...variables });
    },
  );

  test('that cannot be found is not launched', async () => {
    expect(await browserWith({ PATH: toolsOnly(), DISPLAY: ':7' })(url, undefined)).toEqual({
      kind: 'not_launched',
      reason: expect.stringMatching(/^the browser launcher ended with exit code \d$/u),
    });
  });
});

describe('a URL that no browser should be given', () => {
  test.for([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:text/html,x',
    'smb://host/share',
    'search-ms:query=x',
    'ms-msdt:/id',
    'vscode://x',
    'ftp://host/',
    'chrome://settings',
    'http://public.example/authorize',
    'http://127.0.0.1.evil.test/',
    'http://localhost.evil.test/',
    'http://[::2]/',
    'http://0.0.0.0/',
    'http://192.168.0.1/',
    'https://user@as.example/',
    'https://:pw@as.example/',
    'https://as.example/ and 16 KiB more',
  ])('is refused by every way of opening one: %s', async (example) => {
    const address = example.replace(' and 16 KiB more', '?'.padEnd(16 * 1024, 'p'));
    const browser = browserWith({ DISPLAY: ':7' });
    for (const command of [undefined, 'chrome', './agent', 'agent %s']) {
      const failure: unknown = await browser(new URL(address), command).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(AuthError);
      expect(failure).toMatchObject({ code: 'protocol' });
    }
  });

  test.for([
    'http://127.0.0.1:8080/authorize',
    'http://127.1.2.3/',
    'http://[::1]:8080/',
    'http://localhost:1/',
    'https://as.example/',
  ])('is not %s', async (address) => {
    expect(await browserWith()(new URL(address), '/none')).toEqual({
      kind: 'not_launched',
      reason: 'there is no program "/none"',
    });
  });
});
