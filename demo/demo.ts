import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemErrorCode } from '../src/errors.js';
import { startProvider, type Provider } from '../test/support/provider.js';
import { demoEnvironment, hasDisplay, type DemoEnvironment } from './environment.js';
import { forgetDemoKey, usableKeychain } from './keychain.js';
import { DemoFailure, Shell } from './shell.js';
import { Stage } from './stage.js';
import { accessTokenLifetime, tell } from './story.js';
import { invite } from './visit.js';

/** As seen from build/demo.js. */
const program = fileURLToPath(new URL('../bin/authcli.js', import.meta.url));
const longestStoryMs = 28_000;

const stage = new Stage(process.stdout, process.env);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupted.abort());

try {
  const { values } = parseArgs({ options: { stay: { type: 'boolean', default: false } } });
  await demo(values.stay);
} catch (error) {
  const [exitCode, reason] = whatFailed(error);
  stage.failure(reason);
  if (error instanceof DemoFailure && error.hint !== undefined) stage.say(`hint: ${error.hint}`);
  process.exitCode = exitCode;
}

async function demo(stay: boolean): Promise<void> {
  const began = performance.now();
  const folder = makeFolder();
  const env = demoEnvironment(process.env, folder);
  let provider: Provider | undefined;
  try {
    provider = await startDemoProvider(stay);
    stage.title('authcli: sign in, use the token, sign out');
    stage.say(
      `A real OpenID provider runs at ${provider.issuer}; Jane (jane@acme.test) has an account there.`,
    );
    stage.say(`The commands are the real program. All that it keeps goes to ${folder}.`);
    await play(provider, folder, env);
    stage.say(`It took ${Math.round((performance.now() - began) / 1000)} s.`);
    if (stay) {
      invite(stage, provider.issuer, program, env);
      await once(interrupted.signal, 'abort');
    }
  } finally {
    await provider?.stop();
    await forgetDemoKey(env);
    // Windows lets go of a folder only after the last program that was started there.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
  stage.success('nothing of it is left on this machine');
  if (!stay) stage.say('To play with it yourself: npm run demo -- --stay');
}

function makeFolder(): string {
  try {
    return realpathSync(mkdtempSync(join(tmpdir(), 'authcli-demo-')));
  } catch (error) {
    throw new DemoFailure(
      `no folder can be made in ${tmpdir()} (${systemErrorCode(error) ?? 'unknown failure'})`,
      `set ${process.platform === 'win32' ? 'TEMP' : 'TMPDIR'} to a folder that takes files`,
    );
  }
}

async function play(provider: Provider, folder: string, env: DemoEnvironment): Promise<void> {
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(longestStoryMs)]);
  const shell = new Shell(stage, program, { cwd: folder, env, signal });
  const store = (await usableKeychain()) ? 'keychain' : 'file';
  try {
    const shown = await tell({ stage, shell, provider, store, display: hasDisplay(process.env) });
    stage.heading('What you saw');
    for (const line of shown) stage.success(line);
  } finally {
    await shell.stop();
  }
}

/** Who stays gets the port of the examples in the README, where it is free. */
async function startDemoProvider(stay: boolean): Promise<Provider> {
  const options = { accessTokenLifetime, issueRefreshToken: 'always' } as const;
  if (!stay) return startProvider(options);
  return startProvider({ ...options, port: 9000 }).catch(() => startProvider(options));
}

function whatFailed(error: unknown): [exitCode: number, reason: string] {
  if (interrupted.signal.aborted) return [130, 'interrupted; nothing of the demo is left on this machine'];
  if (systemErrorCode(error)?.startsWith('ERR_PARSE_ARGS')) return [2, 'usage: npm run demo [-- --stay]'];
  if (error instanceof DemoFailure) return [1, `the demo failed: ${error.message}`];
  if (error instanceof Error && error.name === 'AbortError') {
    return [1, `the demo failed: it was not over after ${longestStoryMs / 1000} s`];
  }
  return [1, `the demo failed: ${error instanceof Error ? error.message : String(error)}`];
}
