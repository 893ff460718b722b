import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { expect, onTestFinished, test } from 'vitest';

import { startAcme } from '../support/newcomer.js';
import { newMachine, untilShown } from '../support/run.js';
import { approves } from '../support/user-agents.js';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** As npm has it on the disk; its path. */
function installedPackage(): string {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-package-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['bin', 'dist', 'package.json']) {
    cpSync(join(project, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

test('a sign-in ends well although npm replaces the package meanwhile', async () => {
  const acme = await startAcme();
  const machine = newMachine();
  const folder = installedPackage();
  const client = ['--issuer', acme.issuer, '--client-id', 'cli', '--prompt', 'consent'];
  const words = ['login', '--store', 'file', '--no-browser', ...client];
  const child = spawn(execPath, [join(folder, 'bin', 'authcli.js'), ...words], {
    env: machine.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const stdout = text(child.stdout);
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [url] = await untilShown(child.stderr, () => stderr, /http:\S+code_challenge\S+/, closed);
  rmSync(folder, { recursive: true });
  await approves(new URL(url));
  expect({ exitCode: await closed, stdout: await stdout, stderr }).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: expect.stringMatching(
      /Signed in to \S+ as jane@acme.test; the session is kept in a sealed file.\n$/,
    ),
  });
  const configuration = readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8');
  expect(JSON.parse(configuration)).toMatchObject({ store: 'file', providers: expect.anything() });
});
