import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';

import type { BrowserLaunch, OpenBrowser } from '../client/browser.js';
import { isProtectedAddress } from '../loopback.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { splitWords } from './command-words.js';
import { knownBrowser, linuxPrograms, type KnownBrowser } from './known-browsers.js';
import { absoluteSearchPath, findProgram, type SearchContext } from './program-search.js';

const longestUrl = 16 * 1024;

/** A browser that has not failed by then is taken to have started. */
const patienceMs = 1000;

const launched: BrowserLaunch = { kind: 'launched' };

/**
 * Starts the person's browser. What it starts is never waited for, never killed, and outlives us.
 * @throws AuthError 'protocol' for a URL that no browser should be given
 */
export function systemBrowser(context: SearchContext): OpenBrowser {
  return async (url, command) => {
    assertForBrowser(url);
    const attempt = command === undefined ? showInDefault(url, context) : showWith(command, url, context);
    return attempt.catch(describeFailure);
  };
}

/** The URL comes from a provider, and openers start whatever a scheme stands for (CVE-2025-6514). */
function assertForBrowser(url: URL): void {
  if (!isProtectedAddress(url))
    throw new AuthError('protocol', 'the address to open in the browser is not an https address');
  if (url.username !== '' || url.password !== '') {
    throw new AuthError('protocol', 'the address to open in the browser contains a user name or password');
  }
  if (url.href.length >= longestUrl) {
    throw new AuthError('protocol', 'the address to open in the browser is longer than 16 KiB');
  }
}

async function showInDefault(url: URL, context: SearchContext): Promise<BrowserLaunch> {
  const { env, platform } = context;
  const needsDisplay = platform === 'linux' && !isWsl(context);
  if (needsDisplay && !env['DISPLAY'] && !env['WAYLAND_DISPLAY']) return notLaunched('no display');
  const { default: open } = await import('open');
  return watch(await open(url.href), 'the browser launcher');
}

async function showWith(command: string, url: URL, context: SearchContext): Promise<BrowserLaunch> {
  const browser = knownBrowser(command);
  if (browser !== undefined) return showInKnown(browser, command, [], url, context);

  const program = findProgram(command, context);
  if (program !== undefined) return start(program, [url.href], context);

  const words = splitWords(command, context.platform !== 'win32');
  if (words === undefined) return notLaunched('the browser command has a quote that is not closed');
  const [name = '', ...options] = words;
  const found = findProgram(name, context);
  if (found !== undefined) return start(found, withUrl(options, url), context);

  const namedBrowser = knownBrowser(name);
  if (namedBrowser !== undefined) return showInKnown(namedBrowser, name, options, url, context);
  return notLaunched(`there is no program ${JSON.stringify(name)}`);
}

async function showInKnown(
  browser: KnownBrowser,
  name: string,
  options: readonly string[],
  url: URL,
  context: SearchContext,
): Promise<BrowserLaunch> {
  const { platform } = context;
  if (platform === 'darwin' || platform === 'win32') {
    const app = browser[platform];
    if (app === undefined) return notLaunched(`${name} does not exist for this system`);
    const { default: open } = await import('open');
    return watch(await open(url.href, { app: { name: app, arguments: options } }), name);
  }
  for (const candidate of linuxPrograms(browser, isWsl(context))) {
    const program = findProgram(candidate, context);
    if (program !== undefined) return start(program, withUrl(options, url), context);
  }
  return notLaunched(`${name} is not installed`);
}

/** `%s` is where the URL goes, as in `BROWSER`; without one it comes last. */
function withUrl(words: readonly string[], url: URL): readonly string[] {
  return words.some((word) => word.includes('%s'))
    ? words.map((word) => word.replaceAll('%s', () => url.href))
    : [...words, url.href];
}

/** In a process group of its own, so that Ctrl-C in the terminal does not reach the browser. */
function start(
  program: string,
  programArguments: readonly string[],
  context: SearchContext,
): Promise<BrowserLaunch> {
  const child = spawn(program, programArguments, {
    cwd: context.cwd,
    env: browserEnvironment(context.env),
    detached: true,
    stdio: 'ignore',
  });
  child.unref();
  return watch(child, program);
}

/** None of our variables: some hold secrets. A PATH that is safe for us to search is so for a script, too. */
function browserEnvironment(env: SearchContext['env']): NodeJS.ProcessEnv {
  const searchPath = absoluteSearchPath(env);
  const entries = Object.entries(env).filter(([name]) => !/^(?:AUTHCLI_|PATH$)/iu.test(name));
  return { ...Object.fromEntries(entries), ...(searchPath !== undefined && { PATH: searchPath }) };
}

/** From its start on: who waits for a launch may take it that nothing is left to be started afterwards. */
function watch(child: ChildProcess, program: string): Promise<BrowserLaunch> {
  return Promise.race([ended(child, program), patience()]);
}

function ended(child: ChildProcess, program: string): Promise<BrowserLaunch> {
  return new Promise((resolve, reject) => {
    const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
      resolve(code === 0 ? launched : notLaunched(`${program} ended with ${signal ?? `exit code ${code}`}`));
    };
    child.once('error', reject);
    child.once('exit', settle);
    // `open` gives its launcher back after the end on Windows.
    if (child.exitCode !== null) settle(child.exitCode, child.signalCode);
  });
}

/** Does not keep the process alive: a login that is over does not wait for its browser. */
function patience(): Promise<BrowserLaunch> {
  return new Promise((resolve) => {
    setTimeout(resolve, patienceMs, launched).unref();
  });
}

function describeFailure(error: unknown): BrowserLaunch {
  const code = systemErrorCode(error);
  return notLaunched(
    code === undefined ? 'the browser could not be started' : `the browser could not be started (${code})`,
  );
}

function notLaunched(reason: string): BrowserLaunch {
  return { kind: 'not_launched', reason };
}

/** Under WSL the display is that of Windows. The folder holds the sockets of its interop, also for root and cron. */
function isWsl({ env, platform }: SearchContext): boolean {
  return platform === 'linux' && (env['WSL_DISTRO_NAME'] !== undefined || existsSync('/run/WSL'));
}
