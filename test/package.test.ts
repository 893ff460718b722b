import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { wrap } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, test } from 'vitest';

import { checkedCodeCache, codeCachePath, load, withDigest } from '../bin/program.js';
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

  test('is one program, with one error class, where its dist folder is a link', () => {
    const linked = join(folder, 'linked');
    cpSync(join(folder, 'package', 'bin'), join(linked, 'bin'), { recursive: true });
    cpSync(join(folder, 'package', 'package.json'), join(linked, 'package.json'));
    symlinkSync(join(folder, 'package', 'dist'), join(linked, 'dist'));
    const { status, stdout, stderr } = spawnSync(
      execPath,
      [join(linked, 'bin', 'authcli.js'), 'login', '-p', 'acme'],
      { encoding: 'utf8', env: { HOME: folder } },
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'error: no provider is named "acme" (none is configured)\n' +
        'hint: authcli provider add acme --issuer URL --client-id ID\n',
    });
  });

  describe('runs from its source where what was compiled ahead', () => {
    const other = 'module.exports = { systemWorld() { throw new Error("another program"); } };';

    test.each<[title: string, change: (cache: Buffer, source: Buffer) => Buffer | undefined]>([
      ['is not there', () => undefined],
      ['is empty', () => Buffer.alloc(0)],
      ['is no more than a digest', (cache) => cache.subarray(0, 32)],
      ['is cut', (cache) => cache.subarray(0, -1)],
      ['has no digest', (cache) => cache.subarray(32)],
      ['is of another V8', () => Buffer.alloc(4096, 7)],
      ['is of another source of the same length', (_cache, source) => compiled(other.padEnd(source.length))],
      ['has another digest', flipped(0)],
      ...[40, 100, 1_000, 20_000, 50_000, 100_000, 150_000].map((at): [string, (cache: Buffer) => Buffer] => [
        `has another bit at ${at}`,
        flipped(at),
      ]),
    ])('%s', (_title, change) => {
      const chunks = join(folder, 'package', 'dist', 'cli');
      const source = readFileSync(join(chunks, 'start.cjs'));
      const path = codeCachePath(join(chunks, 'start.cjs'));
      const cache = readFileSync(path);
      const changed = change(cache, source);
      if (changed) writeFileSync(path, changed);
      else rmSync(path);
      try {
        expect(checkedCodeCache(source, changed ?? Buffer.alloc(0))).toBeUndefined();
        const launcher = join(folder, 'package', 'bin', 'authcli.js');
        const env = { HOME: folder, AUTHCLI_STATE_DIR: join(folder, 'state') };
        const run = (...argv: string[]) =>
          spawnSync(execPath, [launcher, ...argv], { encoding: 'utf8', env });
        expect(run('--version')).toMatchObject({
          status: 0,
          stdout: `${packageDescription.version}\n`,
          stderr: '',
        });
        expect(run('status', '--json')).toMatchObject({ status: 0, stdout: '{"sessions":[]}\n', stderr: '' });
      } finally {
        writeFileSync(path, cache);
      }
    });
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

function flipped(at: number): (cache: Buffer) => Buffer {
  return (cache) => {
    const damaged = Buffer.from(cache);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    return damaged;
  };
}

/** As the build does it, and with a digest that is right. */
function compiled(source: string): Buffer {
  return withDigest(Buffer.from(source), new Script(wrap(source)).createCachedData());
}

test('the Node that compiled the chunk of every start takes it compiled', () => {
  const path = join(root, 'dist', 'cli', 'start.cjs');
  const source = readFileSync(path);
  const cache = codeCachePath(path);
  expect(cache).toContain(`-${process.version}-${process.platform}-${process.arch}.cache`);
  const cachedData = checkedCodeCache(source, readFileSync(cache));
  expect(cachedData?.length).toBeGreaterThan(100_000);
  expect(Object.keys(load())).toEqual(expect.arrayContaining(['main', 'serveRefreshRequest', 'systemWorld']));
  const program = `
    const { checkedCodeCache } = require('${join(root, 'bin', 'program.js')}');
    const source = fs.readFileSync('${path}');
    const cachedData = checkedCodeCache(source, fs.readFileSync('${cache}'));
    console.log(new vm.Script(require('node:module').wrap(source.toString()), { cachedData }).cachedDataRejected);
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
