import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { execPath, getuid } from 'node:process';
import { text } from 'node:stream/consumers';

import { parseReply, type RawReply } from './raw-http.js';
import { isOnPath, requirement } from './requirements.js';

/** The users `nobody` and 65533 call: only root can be them. */
export const canBeAnotherUser = requirement('setpriv', isOnPath('setpriv')) && getuid?.() === 0;

export const nobody = 65_534;
/** Has no name. */
export const stranger = 65_533;

/** How a program calls the listener: `half_closes` is `end()`, `closes` and `resets` leave before any reply. */
export type Manner = 'waits' | 'half_closes' | 'closes' | 'resets';

export interface Call {
  readonly uid?: number;
  readonly host?: string;
  /** From another address than the system would choose. */
  readonly from?: string;
  readonly port: number;
  readonly request: string;
  readonly manner?: Manner;
}

/** What another process gets that calls the listener, of this user unless it names another. */
export async function callFromOutside(call: Call): Promise<RawReply> {
  const [command, args] = commandLine(call);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [reply] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return parseReply(reply);
}

/** The same for a listener of this process, which is busy until the caller has gone. */
export function callAndLeave(call: Call): void {
  const [command, args] = commandLine(call);
  spawnSync(command, args, { stdio: 'inherit' });
}

function commandLine(call: Call): [command: string, args: string[]] {
  const program = [execPath, '-e', caller, JSON.stringify(call)];
  const { uid = getuid?.() } = call;
  if (uid === getuid?.()) return [execPath, program.slice(1)];
  return ['setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...program]];
}

const caller = `
const { host = '127.0.0.1', port, from: localAddress, request, manner } = JSON.parse(process.argv[1]);
const socket = require('node:net').connect({ host, port, localAddress, allowHalfOpen: true }, () => {
  socket.write(request, () => {
    if (manner === 'half_closes') socket.end();
    if (manner === 'closes') socket.destroy();
    if (manner === 'resets') socket.resetAndDestroy();
  });
});
socket.on('data', (chunk) => process.stdout.write(chunk));
socket.on('end', () => socket.destroy());`;
