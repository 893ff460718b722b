import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { keyringInstalled, startKeyring } from '../test/support/keyring.js';
import { startProvider } from '../test/support/provider.js';
import { isOnPath } from '../test/support/requirements.js';
import type { Contender } from './measure.js';

type Environment = Contender['env'];

export interface Contest {
  readonly bareNode: Contender;
  readonly sealedFile: Contender;
  readonly keychain: Contender | undefined;
  readonly gh: Contender | undefined;
  readonly secretTool: Contender | undefined;
  stop(): Promise<void>;
}

const authcli = fileURLToPath(new URL('../bin/authcli.js', import.meta.url));
const agent = fileURLToPath(new URL('../test/support/agent.js', import.meta.url));

/** Every contender ready to print its secret, in folders of its own below `folder`. */
export async function prepareContest(folder: string): Promise<Contest> {
  // Nothing else of the environment: NODE_EXTRA_CA_CERTS alone makes each start of Node 20 slower by 30 ms.
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, LC_ALL: 'C' };
  const keyring = keyringInstalled() ? await startKeyring() : undefined;
  const keyringEnv = keyring && { ...env, ...keyring.env };
  return {
    bareNode: { name: '`node -e 0`', program: execPath, args: ['-e', '0'], env },
    sealedFile: await signedIn('file', folder, env),
    keychain: keyringEnv && (await signedIn('keychain', folder, keyringEnv)),
    gh: isOnPath('gh') ? ghAuthToken(folder, env) : undefined,
    secretTool: keyringEnv && isOnPath('secret-tool') ? secretToolLookup(keyringEnv) : undefined,
    stop: async () => keyring?.stop(),
  };
}

/** `authcli token` with a session that is valid for an hour, after a real login. */
async function signedIn(store: 'file' | 'keychain', folder: string, base: Environment): Promise<Contender> {
  const env = {
    ...base,
    AUTHCLI_CONFIG_DIR: join(folder, store, 'config'),
    AUTHCLI_STATE_DIR: join(folder, store, 'state'),
  };
  const provider = await startProvider();
  const client = ['-p', 'acme', '--issuer', provider.issuer, '--client-id', 'cli'];
  const browser = ['--prompt', 'consent', '--browser', `'${execPath}' '${agent}'`];
  const login = spawn(execPath, [authcli, 'login', ...client, '--store', store, ...browser], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [messages, [exitCode]] = await Promise.all([text(login.stderr), once(login, 'close')]);
  await provider.stop();
  if (exitCode !== 0) throw new Error(`authcli login --store ${store}: ${messages}`);
  return {
    name: `\`authcli token\`, ${storeNames[store]}`,
    program: execPath,
    args: [authcli, 'token'],
    env,
  };
}

const storeNames = { file: 'sealed file (key file)', keychain: 'keychain' };

function ghAuthToken(folder: string, base: Environment): Contender {
  const configuration = join(folder, 'gh');
  mkdirSync(configuration);
  writeFileSync(
    join(configuration, 'hosts.yml'),
    'github.com:\n    oauth_token: gho_bench\n    user: bench\n    git_protocol: https\n',
  );
  const env = { ...base, GH_CONFIG_DIR: configuration };
  const [version] = /\d+\.\d+\.\d+/.exec(spawnSync('gh', ['--version'], { env }).stdout.toString()) ?? [];
  return { name: `\`gh auth token\` (${version})`, program: 'gh', args: ['auth', 'token'], env };
}

function secretToolLookup(env: Environment): Contender {
  const attributes = ['service', 'bench'];
  const stored = spawnSync('secret-tool', ['store', '--label=bench', ...attributes], {
    env,
    input: 'secret',
  });
  if (stored.status !== 0)
    throw new Error(`secret-tool store ended with ${stored.status}: ${stored.stderr.toString()}`);
  return { name: '`secret-tool lookup`', program: 'secret-tool', args: ['lookup', ...attributes], env };
}
