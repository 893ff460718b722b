import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

import type { Machine } from '../support/run.js';

/** The TCP sockets on which a process listens, as `127.0.0.1:8910`; IPv6 addresses stay as the kernel writes them. */
export function listeningSockets(pid: number): string[] {
  const sockets = new Set(openFiles(pid).map((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1]));
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode))
      .map(([, address = '']) => readableAddress(address)),
  );
}

/** The most memory that a process ever held, in MiB. */
export function peakMemory(pid: number): number {
  return statusField(pid, 'VmHWM') / 1024;
}

/** Every process that lives in this machine's folders, wherever it was started from. */
export function processesOf(machine: Machine): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readOrEmpty(`/proc/${pid}/environ`).includes(machine.folder));
}

export function openDescriptors(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number);
}

function openFiles(pid: number): string[] {
  return openDescriptors(pid).flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${descriptor}`)];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

const ipv6Loopback = `${'0'.repeat(24)}01000000`;

/** `0100007F:1F90`: the bytes of the address backwards, the port forwards. */
function readableAddress(address: string): string {
  const [host = '', port = ''] = address.split(':');
  const ip = host.length === 8 ? [...Buffer.from(host, 'hex')].toReversed().join('.') : host;
  return `${ip === ipv6Loopback ? '[::1]' : ip}:${Number.parseInt(port, 16)}`;
}

function statusField(pid: number, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readOrEmpty(`/proc/${pid}/status`))?.[1]);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
