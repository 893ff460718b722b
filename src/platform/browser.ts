import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';

import type { BrowserLaunch, OpenBrowser } from '../client/browser.js';
import { isProtectedAddress } from '../loopback.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { findProgram, namedProgram, type SearchContext } from '../named-program.js';
import { knownBrowser, linuxPrograms, type KnownBrowser } from './known-browsers.js';
import { openInSystem } from './system-opener.js';

const longestUrl = 16 * 1024;

/** A browser that has not failed by then is taken to have started. */
const patienceMs = 1000;

const launched: BrowserLaunch = { kind: 'launched' };

export interface BrowserContext extends SearchContext {
  /** The environment that the browser inherits. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that it is started in: programs read files of theirs, and the current folder may be a stranger's. */
  readonly folder: string;
  /** The path of the Node that runs us. */
  readonly execPath: string;
}

/**
 * Starts the person's browser. What it starts is never waited for, never killed, and outlives us.
 * @throws AuthError 'protocol' for a URL that no browser should be given
 */
export function systemBrowser(context: BrowserContext): OpenBrowser {
  return async (url, given) => {
    assertForBrowser(url);
    const command = given ?? (context.env['BROWSER'] || undefined);
    if (command === 'none') return notLaunched('BROWSER is none');
    const attempt =
      command === undefined ? showInDefault(url, context) : showWithFirst(command, url, context);
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

async function showInDefault(url: URL, context: BrowserContext): Promise<BrowserLaunch> {
  const { env, platform } = context;
  const needsDisplay = platform === 'linux' && !isWsl(context);
  if (needsDisplay && !env['DISPLAY'] && !env['WAYLAND_DISPLAY']) return notLaunched('no display');
  const launcher = openInSystem(url, undefined, { ...context, isWsl: isWsl(context) });
  if (launcher === undefined) return notLaunched('the system has nothing that opens a browser');
  return watchOpener(launcher, 'the browser launcher', context);
}

/** Several separated by colons are tried in turn, as `BROWSER` has them. */
async function showWithFirst(list: string, url: URL, context: BrowserContext): Promise<BrowserLaunch> {
  const reasons: string[] = [];
  for (const command of commandsOf(list, context)) {
    const launch = await showWith(command, url, context);
    if (launch.kind === 'launched') return launch;
    reasons.push(launch.reason);
  }
  return notLaunched(reasons.join('; '));
}

/** One program may have a colon in its name or its words, too. */
function commandsOf(list: string, context: BrowserContext): readonly string[] {
  const named = namedProgram(list, context);
  const isOne =
    named.kind === 'found' ||
    named.kind === 'unclosed' ||
    (named.kind === 'not_found' && knownBrowser(named.program) !== undefined);
  if (isOne || context.platform === 'win32') return [list];
  const commands = list.split(':').filter((command) => command.trim() !== '');
  return commands.length === 0 ? [list] : commands;
}

async function showWith(command: string, url: URL, context: BrowserContext): Promise<BrowserLaunch> {
  const browser = knownBrowser(command);
  if (browser !== undefined) return showInKnown(browser, command, [], url, context);

  const named = namedProgram(command, context);
  switch (named.kind) {
    case 'found':
      return start(named.path, withUrl(named.words, url), context);
    case 'unclosed':
      return notLaunched('the browser command has a quote that is not closed');
    case 'relative':
      return notLaunched(
        `${JSON.stringify(named.program)} would be another program in each folder; name it by its whole path`,
      );
    case 'not_found': {
      const { program, words } = named;
      const namedBrowser = knownBrowser(program);
      if (namedBrowser !== undefined) return showInKnown(namedBrowser, program, words, url, context);
      return notLaunched(`there is no program ${JSON.stringify(program)}`);
    }
  }
}

async function showInKnown(
  browser: KnownBrowser,
  name: string,
  options: readonly string[],
  url: URL,
  context: BrowserContext,
): Promise<BrowserLaunch> {
  const { platform } = context;
  if (platform === 'darwin' || platform === 'win32') {
    const app = browser[platform];
    const launcher = app && openInSystem(url, { name: app, words: options }, { ...context, isWsl: false });
    return launcher
      ? watchOpener(launcher, name, context)
      : notLaunched(`${name} does not exist for this system`);
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
async function start(
  program: string,
  words: readonly string[],
  { env, folder }: BrowserContext,
): Promise<BrowserLaunch> {
  try {
    const child = spawn(program, words, { cwd: folder, env, detached: true, stdio: 'ignore' });
    child.unref();
    return await watch(child, program);
  } catch (error) {
    return describeFailure(error);
  }
}

/** Windows ends what we have started with us: a launcher there must come to its end before. */
function watchOpener(
  child: ChildProcess,
  program: string,
  { platform }: SearchContext,
): Promise<BrowserLaunch> {
  return platform === 'win32' ? ended(child, program) : watch(child, program);
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
