import type { Socket } from 'node:net';

import { describe, expect, test } from 'vitest';

import { forThisTest, keyringInstalled } from '../support/keyring.js';
import { signedInWithKeyring } from '../support/newcomer.js';
import { headerField, longText, rawMessage, shortText, uint32 } from '../support/raw-message.js';
import { requirement } from '../support/requirements.js';
import { startPeer, startScriptedKeyring } from '../support/scripted-keyring.js';
import { patience } from './sizes.js';

/** To a call with the serial N. */
type Forgery = (replySerial: number) => Buffer;

const answering =
  (signature: string, body: Buffer): Forgery =>
  (replySerial) =>
    rawMessage({ replySerial, signature, body });

const withField =
  (field: Buffer): Forgery =>
  (replySerial) =>
    rawMessage({ fields: [headerField(5, 'u', uint32(replySerial)), field] });

const forgeries: readonly [title: string, forge: Forgery, told: string][] = [
  ['arrays of nothing', answering('a', uint32(4)), 'unknown type in a signature'],
  ['arrays of an unknown type', answering('az', uint32(4)), 'unknown type in a signature'],
  ['a variant before an array of nothing', answering('va', Buffer.alloc(24)), 'unknown type in a signature'],
  ['an array of empty structs', answering('a()', Buffer.alloc(16, 1)), 'unknown type in a signature'],
  [
    'a variant with an array of nothing',
    answering('v', Buffer.concat([shortText('a'), Buffer.alloc(1), uint32(4)])),
    'unknown type in a signature',
  ],
  [
    'a signature of 900 kB',
    withField(headerField(8, 's', longText('a'.repeat(900_000)))),
    'a message is too long',
  ],
  [
    'a signature of 100 kB',
    withField(headerField(8, 's', longText('('.repeat(100_000)))),
    'a field of a header has another type',
  ],
  ['33 arrays in one', answering(`${'a'.repeat(33)}y`, uint32(0)), 'a signature is nested too deeply'],
  ['a path as text', withField(headerField(1, 's', longText('/'))), 'a field of a header has another type'],
  ['a body without a signature', answering('', Buffer.alloc(64)), 'a body is longer than its signature says'],
  ['another answer than was asked for', answering('u', uint32(7)), 'its answer makes no sense'],
  ['no answer at all', answering('', Buffer.alloc(0)), 'its answer makes no sense'],
];

/** The first calls of a read, and the last. The bus answers `Hello` with a name that nobody reads. */
const members = ['Hello', 'OpenSession', 'SearchItems', 'GetSecret'];

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
  'STO-23: a hostile keyring ends `authcli token` with exit 7, within 5 s, when it answers with',
  () => {
    test.each(forgeries)('%s', async (_title, forge, told) => {
      const { machine } = await signedInWithKeyring();
      const isWellFormed = told === 'its answer makes no sense';
      for (const member of isWellFormed ? members.slice(1) : members) {
        const hostile = await forThisTest(
          startScriptedKeyring({
            forge: (call) => (call.member === member ? forge(call.serial) : undefined),
          }),
        );
        const begun = performance.now();
        const outcome = await machine.spawn(['token'], hostile.env);
        expect(performance.now() - begun).toBeLessThan(5_000 * patience);
        expect.soft({ member, ...outcome }).toEqual({
          member,
          exitCode: 7,
          stdout: '',
          stderr: expect.stringMatching(new RegExp(`^error: the keyring refused: ${told}\nhint: .*\n$`)),
        });
      }
    });

    const struct = `${'('.repeat(31)}y${')'.repeat(31)}`;
    const structs = Buffer.alloc(100_001, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));

    test.each([
      ['messages that nobody asked for, without end', rawMessage({ replySerial: 77 })],
      [
        'costly messages that nobody asked for, without end',
        rawMessage({
          replySerial: 77,
          signature: `a${struct}`,
          body: Buffer.concat([uint32(structs.length), uint32(0), structs]),
        }),
      ],
    ])('%s', async (_title, message) => {
      const { machine } = await signedInWithKeyring();
      const hostile = await forThisTest(startPeer(floods(message)));
      const begun = performance.now();
      expect(await machine.spawn(['token'], hostile.env)).toEqual({
        exitCode: 7,
        stdout: '',
        stderr: expect.stringContaining('error: the keyring did not answer within 4 s\n'),
      });
      expect(performance.now() - begun).toBeLessThan(5_000 * patience);
    });
  },
);

function floods(message: Buffer): (socket: Socket) => void {
  return (socket) => {
    const pour = (): void => {
      while (!socket.destroyed && socket.write(message));
    };
    socket.on('drain', pour).write('DATA\r\nOK 0123456789abcdef\r\n', pour);
  };
}
