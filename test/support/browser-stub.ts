import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { execPath } from 'node:process';
import { json } from 'node:stream/consumers';

import { onTestFinished } from 'vitest';

import { listen } from './listen.js';

/** How a stub was started, as it saw it itself. */
export interface Launch {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly cwd: string;
}

export interface BrowserStubs {
  /** How many programs of `write` were started so far. */
  readonly count: number;
  /** A program below `folder` that tells how it was started, and ends as `ending` (JavaScript) says. Returns its path. */
  write(name: string, ending?: string): string;
  /** The next launch that nobody has asked for yet. */
  next(): Promise<Launch>;
}

/** Programs that stand where the browser's would, and report each of their starts. */
export async function browserStubs(folder: string): Promise<BrowserStubs> {
  const launches: Promise<Launch>[] = [];
  let asked = 0;
  const server = createServer((socket) => void launches.push(readLaunch(socket)));
  onTestFinished(() => void server.close());
  const port = await listen(server);
  return {
    get count() {
      return launches.length;
    },
    write(name, ending = '') {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, program(port, ending));
      chmodSync(path, 0o755);
      return path;
    },
    async next() {
      asked += 1;
      const number = asked;
      for (;;) {
        const launch = launches[number - 1];
        if (launch !== undefined) return launch;
        await once(server, 'connection');
      }
    },
  };
}

async function readLaunch(socket: Socket): Promise<Launch> {
  const report = await json(socket);
  if (!isLaunch(report)) throw new Error('the stub reported something else');
  return report;
}

function isLaunch(value: unknown): value is Launch {
  return typeof value === 'object' && value !== null && 'program' in value && 'pid' in value;
}

function program(port: number, ending: string): string {
  return `#!${execPath}
const { connect } = require('node:net');
const { env, argv, pid, ppid } = process;
const group = Number(require('node:fs').readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[2]);
const report = { program: argv[1], arguments: argv.slice(2), env, pid, parent: ppid, group, cwd: process.cwd() };
const socket = connect(${port}, '127.0.0.1', () => socket.end(JSON.stringify(report)));
socket.on('close', () => { ${ending} });
`;
}
