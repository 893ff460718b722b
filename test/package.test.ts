import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, test } from 'vitest';

import packageDescription from '../package.json' with { type: 'json' };

const root = fileURLToPath(new URL('..', import.meta.url));

describe('the package as it would be published', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'authcli-package-'));
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, stdio: 'pipe' });
    execFileSync('tar', ['xzf', `authcli-${packageDescription.version}.tgz`], { cwd: folder });
    symlinkSync(join(root, 'node_modules'), join(folder, 'package', 'node_modules'));
    return () => rmSync(folder, { recursive: true });
  });

  test('holds the launcher, the built program, the library and its types, and nothing of the tests', () => {
    const files = execFileSync('tar', ['tzf', `authcli-${packageDescription.version}.tgz`], {
      cwd: folder,
      encoding: 'utf8',
    });
    const names = files
      .trim()
      .split('\n')
      .map((name) => name.replace('package/', ''));
    expect(names).toEqual(
      expect.arrayContaining([
        'package.json',
        'LICENSE',
        'README.md',
        'CHANGELOG.md',
        'bin/authcli.js',
        'bin/package.json',
        'bin/program.js',
        'dist/cli/main.cjs',
        'dist/cli/catalogue/github.json',
        'dist/library/index.js',
        'dist/types/index.d.ts',
        'dist/THIRD-PARTY-NOTICES.txt',
      ]),
    );
    expect(names.filter((name) => !/^(bin|dist|docs)\/|^[A-Z]+(\.md)?$|^package\.json$/.test(name))).toEqual(
      [],
    );
  });

  test('runs', () => {
    const { status, stdout, stderr } = spawnSync(
      execPath,
      [join(folder, 'package', 'bin', 'authcli.js'), '--version'],
      {
        encoding: 'utf8',
      },
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: `${packageDescription.version}\n`,
      stderr: '',
    });
  });

  test('runs on another Node than the one that it was compiled by', () => {
    const chunks = join(folder, 'package', 'dist', 'cli');
    const compiled = readdirSync(chunks).find((name) => name.endsWith('.cache')) ?? '';
    renameSync(join(chunks, compiled), join(folder, compiled));
    const launcher = join(folder, 'package', 'bin', 'authcli.js');
    const run = () => spawnSync(execPath, [launcher, '--version'], { encoding: 'utf8' });
    expect(run()).toMatchObject({ status: 0, stdout: `${packageDescription.version}\n`, stderr: '' });
    // Under the right name, and of another V8.
    writeFileSync(join(chunks, compiled), Buffer.alloc(4096, 7));
    expect(run()).toMatchObject({ status: 0, stdout: `${packageDescription.version}\n`, stderr: '' });
    renameSync(join(folder, compiled), join(chunks, compiled));
  });

  test('is a library with the same sessions', () => {
    const program = `
      import { createAuthClient } from '${join(folder, 'package', 'dist', 'library', 'index.js')}';
      console.log(JSON.stringify(createAuthClient({ stateFolder: '${folder}/state' }).getSessions()));
    `;
    const { status, stdout, stderr } = spawnSync(execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: '{"sessions":[],"damaged":[]}\n',
      stderr: '',
    });
  });
});

/** The packages in the bundle: all that `src` leads to, but for what the bundle still loads from outside. */
async function bundledPackages(): Promise<string[]> {
  const chunks = join(root, 'dist', 'cli');
  const code = readdirSync(chunks)
    .filter((name) => name.endsWith('.cjs'))
    .map((name) => readFileSync(join(chunks, name), 'utf8'))
    .join('\n');
  const loaded = new Set(
    [...code.matchAll(/\b(?:require|import)\(["'`]([^"'`]+)["'`]\)/g)].map(([, name = '']) => name),
  );
  const bundle = await rolldown({
    input: join(root, 'src', 'main.ts'),
    external: (id) => loaded.has(id),
    platform: 'node',
  });
  const { output } = await bundle.generate({ format: 'esm' });
  const modules = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
  const names = modules.flatMap(
    (id) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(id)?.[1] ?? [],
  );
  return [...new Set(names)].toSorted();
}

test('the notices name every package that the bundle has in it, with its licence', async () => {
  const notices = readFileSync(join(root, 'dist', 'THIRD-PARTY-NOTICES.txt'), 'utf8');
  const names = await bundledPackages();
  expect(names).toEqual(expect.arrayContaining(['oauth4webapi', 'openid-client', 'valibot']));
  for (const name of names) {
    const folder = join(root, 'node_modules', name);
    const { version }: { version: string } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    expect(notices).toContain(`\n${name} ${version}\n`);
    const licences = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file));
    expect(licences).not.toEqual([]);
    for (const file of licences) expect(notices).toContain(readFileSync(join(folder, file), 'utf8').trim());
  }
});

test('the Node that compiled the chunk of every start takes it compiled', () => {
  const start = join(root, 'dist', 'cli', 'start');
  const program = `
    const source = require('node:module').wrap(fs.readFileSync('${start}.cjs', 'utf8'));
    const cachedData = fs.readFileSync('${start}-${process.version}-${process.arch}.cache');
    console.log(new vm.Script(source, { cachedData }).cachedDataRejected);
  `;
  expect(spawnSync(execPath, ['-e', program], { encoding: 'utf8' })).toMatchObject({ stdout: 'false\n' });
});

test.each(['8.17.0', '18.20.0', '20.18.3'])('Node %s gets one readable line', (version) => {
  const program = `
    Object.defineProperty(process.versions, 'node', { value: '${version}' });
    require(${JSON.stringify(join(root, 'bin', 'authcli.js'))});
  `;
  const { status, stdout, stderr } = spawnSync(execPath, ['-e', program], { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: `error: authcli needs Node.js 20.19 or newer, and this is ${version}\n`,
  });
});
