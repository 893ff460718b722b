import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { nodeEnvironment } from '../child-environment.js';
import { findProgram } from '../named-program.js';
import type { BrowserContext } from './browser.js';

/** A browser of macOS or Windows by the name that the system knows it by, with options for it. */
interface Application {
  readonly name: string;
  readonly words: readonly string[];
}

/**
 * Starts what the system has for opening a URL; undefined where it has nothing. The package `open` takes the environment of this
 * process and has no option for another one, and between its call and its start other code runs. A program that uses the library
 * would then have to change its own environment. So the openers of Linux and macOS are started right here, with the environment
 * and the folder that were prepared for them, and `open` runs in a Node of its own where it is needed: on Windows and in WSL,
 * where it knows how to quote for PowerShell and how to reach it.
 */
export function openInSystem(
  url: URL,
  application: Application | undefined,
  context: BrowserContext & { readonly isWsl: boolean },
): ChildProcess | undefined {
  const { platform, folder, isWsl } = context;
  // xdg-open has its own way to read this variable, which by now was looked at or is not to be used.
  const { BROWSER: _, ...env } = context.env;
  if (platform === 'win32' || isWsl) return openInOwnNode(url, application, { ...context, env });
  const command =
    platform === 'darwin' ? macCommand(url, application) : linuxCommand(url, { ...context, env });
  if (command === undefined) return undefined;
  const [program, ...words] = command;
  const child = spawn(program, words, { cwd: folder, env, detached: true, stdio: 'ignore' });
  child.unref();
  return child;
}

type CommandLine = readonly [program: string, ...words: string[]];

function macCommand(url: URL, application: Application | undefined): CommandLine {
  const opener = '/usr/bin/open';
  if (application === undefined) return [opener, url.href];
  const { name, words } = application;
  // Whatever follows `--args` goes to the application.
  return words.length === 0
    ? [opener, '-a', name, url.href]
    : [opener, '-a', name, '--args', ...words, url.href];
}

/** The script of the package first: it is newer than what many systems have, and some have none. */
function linuxCommand(url: URL, context: BrowserContext): CommandLine | undefined {
  const packaged = openPackage();
  const opener =
    (packaged && findProgram(join(dirname(packaged), 'xdg-open'), context)) ??
    findProgram('xdg-open', context);
  return opener === undefined ? undefined : [opener, url.href];
}

function openPackage(): string | undefined {
  try {
    const require = createRequire(import.meta.url);
    return require.resolve('open');
  } catch {
    return undefined;
  }
}

/** Ends as the launcher does, and does not wait for one that is still running after a second: it may be the browser itself. */
const openerProgram = `
  let input = '';
  process.stdin.setEncoding('utf8').on('data', (chunk) => { input += chunk; }).on('end', async () => {
    const { open, url, app } = JSON.parse(input);
    const launcher = await (await import(open)).default(url, app && { app });
    const end = (code) => process.exit(code ?? 1);
    if (launcher.exitCode !== null) end(launcher.exitCode);
    launcher.once('exit', end);
    setTimeout(end, 1000, 0);
  });
`;

function openInOwnNode(
  url: URL,
  application: Application | undefined,
  { env, platform, folder, execPath }: BrowserContext,
): ChildProcess | undefined {
  const open = openPackage();
  if (open === undefined) return undefined;
  const child = spawn(execPath, ['-e', openerProgram], {
    cwd: folder,
    env: nodeEnvironment({ env, platform }, folder),
    detached: platform !== 'win32',
    windowsHide: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const app = application && { name: application.name, arguments: application.words };
  // A Node that could not start says so by its end.
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify({ open: pathToFileURL(open).href, url: url.href, app }));
  child.unref();
  return child;
}
