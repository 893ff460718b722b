import { describe, expect, test } from 'vitest';

import { findSocketUser, nowhere } from '../../src/callback/socket-table.js';

const header =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

/** A row as Linux 6 writes it. */
function row(ends: string, uid: number, inode: number, state = '01'): string {
  const line = `   2: ${ends} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode}`;
  return `${`${line} 1 000000002846c2d3 20 0 0 10 -1`.padEnd(149)}\n`;
}

const client = { address: '127.0.0.1', port: 0xccd8 };
const server = { address: '127.0.0.1', port: 0x9a27 };
const ours = '0100007F:CCD8 0100007F:9A27';

function userOf(table: string): number | undefined {
  return findSocketUser(table, 4, client, server, 'LE');
}

test.each([
  ['IPv4', 4, '127.0.0.1', '127.0.0.1', '0100007F:CCD8 0100007F:9A27'],
  ['another address of this machine', 4, '192.168.1.20', '127.0.0.1', '1401A8C0:CCD8 0100007F:9A27'],
  ['IPv6', 6, '::1', '::1', '00000000000000000000000001000000:CCD8 00000000000000000000000001000000:9A27'],
  [
    'IPv6 with every group, and a zone',
    6,
    'fe80::1234:5678:9abc:def0%eth0',
    '2001:db8:1:2:3:4:5:6',
    '000080FE000000007856341 2F0DEBC9A'.replace(' ', '') + ':CCD8 B80D0120020001000400030006000500:9A27',
  ],
  [
    'a socket of IPv6 that speaks IPv4',
    6,
    '127.0.0.1',
    '127.0.0.1',
    '0000000000000000FFFF00000100007F:CCD8 0000000000000000FFFF00000100007F:9A27',
  ],
  ['the same, where Node names it so', 4, '::ffff:127.0.0.1', '::ffff:7f00:1', '0100007F:CCD8 0100007F:9A27'],
] as const)('an address is found as the kernel prints it: %s', (_title, family, local, remote, ends) => {
  const [from, to] = [
    { address: local, port: 0xccd8 },
    { address: remote, port: 0x9a27 },
  ];
  expect(findSocketUser(header + row(ends, 1000, 17475), family, from, to, 'LE')).toBe(1000);
});

test.each([
  [4, '127.0.0.1', '7F000001:CCD8 7F000001:9A27'],
  [6, '::1', '00000000000000000000000000000001:CCD8 00000000000000000000000000000001:9A27'],
  [6, '127.0.0.1', '00000000000000000000FFFF7F000001:CCD8 00000000000000000000FFFF7F000001:9A27'],
] as const)('on a machine that puts the highest byte first, too: %s %s', (family, address, ends) => {
  const [from, to] = [
    { address, port: 0xccd8 },
    { address, port: 0x9a27 },
  ];
  expect(findSocketUser(header + row(ends, 1000, 17475), family, from, to, 'BE')).toBe(1000);
});

test.each([
  ['an empty table', ''],
  ['a table without rows', header],
  ['a row without an inode, as a socket has that was closed', header + row(ours, 0, 0, '05')],
  ['a row without an inode that names a user all the same', header + row(ours, 1000, 0, '05')],
  ['our own end', header + row('0100007F:9A27 0100007F:CCD8', 1000, 7)],
  ['another port of the caller', header + row('0100007F:CCD9 0100007F:9A27', 1000, 7)],
  ['another listener', header + row('0100007F:CCD8 0100007F:9A28', 1000, 7)],
  ['another address of the caller', header + row('0200007F:CCD8 0100007F:9A27', 1000, 7)],
  ['a socket that listens where the caller is', header + row('0100007F:CCD8 00000000:0000', 1000, 7, '0A')],
  ['a row that is cut off', header + row(ours, 1000, 7).slice(0, 60)],
  ['a row that is cut off behind the user', header + row(ours, 1000, 7).slice(0, 91)],
])('nobody is found in %s', (_title, table) => {
  expect(userOf(table)).toBeUndefined();
});

test('a socket that is open is found behind one of the same ends that was closed', () => {
  expect(userOf(header + row(ours, 0, 0, '06') + row(ours, 1001, 17475) + row(ours, 0, 0, '06'))).toBe(1001);
});

test('users and inodes may have as many digits as the kernel gives them', () => {
  expect(userOf(header + row(ours, 4_294_967_294, 4_294_967_295))).toBe(4_294_967_294);
});

test('a socket that listens is found by its own end', () => {
  const table = header + row('0100007F:9A27 00000000:0000', 1000, 7, '0A');
  expect(findSocketUser(table, 4, server, nowhere, 'LE')).toBe(1000);
});

test('an address of IPv6 is not looked for among those of IPv4', () => {
  const [from, to] = [
    { address: '::7f00:1', port: 0xccd8 },
    { address: '::7f00:1', port: 0x9a27 },
  ];
  expect(findSocketUser(header + row(ours, 1000, 7), 4, from, to, 'LE')).toBeUndefined();
});

describe('a table of 50,000 sockets', () => {
  const rows = Array.from({ length: 50_000 }, (_one, index) => {
    const hex = index.toString(16).toUpperCase().padStart(8, '0');
    return row(`${hex}:CCD8 0100007F:9A27`, 1001, index + 1);
  });

  test.each([
    ['its last row', ours, 1000],
    ['no row', '0100007F:CCD7 0100007F:9A27', undefined],
  ])('is searched within a tenth of a second: %s', (_title, last, expected) => {
    const table = header + rows.join('') + row(last, 1000, 7);
    const started = performance.now();
    expect(userOf(table)).toBe(expected);
    expect(performance.now() - started).toBeLessThan(100);
  });
});
