import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';

/** One end of a TCP connection. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `/proc/net/tcp` holds the sockets of IPv4, `/proc/net/tcp6` those of IPv6, also where they speak IPv4 (`::ffff:127.0.0.1`). */
export type Family = 4 | 6;

/** A socket that listens has this one at its other end. */
export const nowhere: Endpoint = { address: '0.0.0.0', port: 0 };

/**
 * The user of the socket from `local` to `remote`, by the text of a kernel table; undefined where it lists no such socket.
 * A row without an inode does not count: its socket was closed, and then the kernel writes 0 in place of the user, too.
 */
export function findSocketUser(
  table: string,
  family: Family,
  local: Endpoint,
  remote: Endpoint,
  byteOrder = endianness(),
): number | undefined {
  const ends = [local, remote].map(({ address, port }) => {
    const hex = kernelAddress(address, family, byteOrder);
    return hex && `${hex}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  });
  if (ends.includes(undefined)) return undefined;
  const wanted = `: ${ends.join(' ')} `;
  for (let at = table.indexOf(wanted); at !== -1; at = table.indexOf(wanted, at + 1)) {
    const [row = ''] = table.slice(at + wanted.length, at + wanted.length + longestRow).split('\n', 1);
    const [, uid, inode] = /^(?:\S+ +){4}(\d+) +\d+ +(\d+)(?: |$)/u.exec(row) ?? [];
    if (uid !== undefined && inode !== '0') return Number(uid);
  }
  return undefined;
}

/** Both tables fill their rows up to 150 and 170 characters. */
const longestRow = 400;

/** As the kernel prints it: word by word of 32 bits, each in the byte order of the machine. */
function kernelAddress(address: string, family: Family, byteOrder: 'BE' | 'LE'): string | undefined {
  const hex = ipv6Digits(address);
  const words = hex.match(/.{8}/gu) ?? [];
  if (family === 4 && words.slice(0, 3).join('') !== mappedPrefix) return undefined;
  return (family === 4 ? words.slice(3) : words)
    .map((word) => (byteOrder === 'LE' ? (word.match(/../gu) ?? []).toReversed().join('') : word))
    .join('');
}

const mappedPrefix = '00000000000000000000FFFF';

/** The 32 digits of an IPv6 address, or of the one that an IPv4 address is mapped to. */
function ipv6Digits(address: string): string {
  const [withoutZone = ''] = address.split('%', 1);
  // `URL` writes every spelling in one way, without dots.
  const { hostname } = new URL(`http://[${isIPv4(address) ? `::ffff:${address}` : withoutZone}]`);
  const [head = [], tail = []] = hostname
    .slice(1, -1)
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].map((group) => group.toUpperCase().padStart(4, '0')).join('');
}
