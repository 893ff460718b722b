import { readFileSync } from 'node:fs';
import { isIPv4, type AddressInfo, type Socket } from 'node:net';

import { systemErrorCode } from '../errors.js';
import { findSocketUser, nowhere, type Endpoint } from './socket-table.js';

/** Whoever brought a response that was not taken. */
export interface RefusedCaller {
  /** Undefined where the kernel names no user: the socket was closed already, or is not one of this system. */
  readonly uid: number | undefined;
  /** As the system's list of users has it. */
  readonly name: string | undefined;
}

/** Returns who is at the other end of the connection, unless it is one who may call. */
export type CallerCheck = (connection: Socket) => RefusedCaller | undefined;

/**
 * The users whose connections count: this one and root, who can do what this one can. For root also the person who became
 * root with sudo: the browser is that person's. Undefined where users have no numbers (Windows).
 */
export function trustedUsers(
  uid: number | undefined,
  env: Readonly<Record<string, string | undefined>>,
): readonly number[] | undefined {
  if (uid === undefined) return undefined;
  const sudoUser = uid === 0 ? /^\d{1,10}$/.exec(env['SUDO_UID'] ?? '')?.[0] : undefined;
  return [uid, 0, ...(sudoUser === undefined ? [] : [Number(sudoUser)])];
}

/**
 * Asks the kernel's tables of sockets (Linux) for the user at the other end of a connection.
 * @param listening our own end, by which is seen whether there are such tables at all: nobody has heard of the port yet, so
 * that nobody can bring about the answer
 * @returns undefined where the system does not tell: no `/proc`, or one that does not show our own socket
 */
export function callerCheck(listening: AddressInfo, users: readonly number[]): CallerCheck | undefined {
  if (!isOurSocketListed(listening)) return undefined;
  return (connection) => {
    const uid = callerOf(connection);
    const isTrusted = uid !== undefined && users.includes(uid) && !mayBeAnybody(uid);
    return isTrusted ? undefined : { uid, name: uid === undefined ? undefined : userName(uid) };
  };
}

function isOurSocketListed(listening: AddressInfo): boolean {
  try {
    return (
      findUser(listening, listening.family === 'IPv6' ? { ...nowhere, address: '::' } : nowhere) !== undefined
    );
  } catch (error) {
    // Anything else, such as a lack of file descriptors, passes: the tables are there, and are asked again later.
    return !['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '');
  }
}

/** Reads without awaiting: a connection that is closed leaves no user behind. */
function callerOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): number | undefined {
  const isOpen =
    remoteAddress !== undefined &&
    remotePort !== undefined &&
    localAddress !== undefined &&
    localPort !== undefined;
  if (!isOpen) return undefined;
  try {
    return findUser({ address: remoteAddress, port: remotePort }, { address: localAddress, port: localPort });
  } catch {
    return undefined;
  }
}

/** A socket of IPv6 can speak IPv4, and is in the table of IPv6 then. */
function findUser(local: Endpoint, remote: Endpoint): number | undefined {
  const ofIpv4 = isIPv4(local.address)
    ? findSocketUser(readFileSync('/proc/self/net/tcp', 'latin1'), 4, local, remote)
    : undefined;
  return ofIpv4 ?? findSocketUser(readIfThere('/proc/self/net/tcp6'), 6, local, remote);
}

/** In a user namespace every user without a number of its own there has this one. */
function mayBeAnybody(uid: number): boolean {
  const overflow = Number(readIfThere('/proc/sys/kernel/overflowuid') || 65_534);
  return uid === overflow && !/^\s*0\s+0\s+4294967295\s*$/.test(readIfThere('/proc/self/uid_map'));
}

function userName(uid: number): string | undefined {
  const users = readIfThere('/etc/passwd').split('\n');
  return users.map((line) => line.split(':')).find(([, , number]) => number === String(uid))?.[0];
}

/** The machine may be without IPv6, or without a list of users. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
