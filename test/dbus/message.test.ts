import { describe, expect, test } from 'vitest';

import { MalformedMessage } from '../../src/dbus/malformed-message.js';
import { decodeMessage, encodeMessage, messageLength } from '../../src/dbus/message.js';
import { Variant } from '../../src/dbus/wire.js';
import { headerField, longText, rawMessage, shortText, uint32 } from '../support/raw-message.js';

describe('messages', () => {
  test('every length survives being written and read', () => {
    for (let length = 0; length < 1_100; length += 1) {
      const body = [['x'.repeat(length), Buffer.alloc(length, 7)], [['key', new Variant('b', true)]], 1];
      const message = encodeMessage({
        kind: 'call',
        serial: 7,
        path: '/',
        member: 'M',
        signature: '(say)a{sv}u',
        body,
      });
      expect(messageLength(message)).toBe(message.length);
      expect(decodeMessage(message)).toMatchObject({ kind: 'call', serial: 7, path: '/', body });
    }
  });

  test('a service of the other byte order is understood', () => {
    const message = Buffer.from(
      '42020001' +
        '00000004' +
        '00000009' +
        '0000000f' +
        '05017500' +
        '00000003' +
        '0801670001620000' +
        '00000001',
      'hex',
    );
    expect(messageLength(message)).toBe(message.length);
    expect(decodeMessage(message)).toMatchObject({ kind: 'reply', serial: 9, replySerial: 3, body: [true] });
  });

  test('kinds of numbers that no caller needs are passed over', () => {
    const body = Buffer.alloc(8 + 8 + 4);
    body.writeUInt32LE(5, 16);
    expect(decodeMessage(rawMessage({ signature: 'xdu', body })).body).toEqual([null, null, 5]);
  });
});

const replySerial = headerField(5, 'u', uint32(2));
const text = longText('x');

describe('a message that the specification forbids is malformed:', () => {
  test.each<[string, Buffer]>([
    ['a kind of 0', rawMessage({ kind: 0 })],
    ['another version', rawMessage({ version: 2 })],
    ['a serial of 0', rawMessage({ serial: 0 })],
    ['a reply to nothing', rawMessage({ fields: [] })],
    ['a reply to the call 0', rawMessage({ replySerial: 0 })],
    ['an error without a name', rawMessage({ kind: 3, fields: [replySerial] })],
    ['an error of no call', rawMessage({ kind: 3, fields: [headerField(4, 's', text)] })],
    ['a call of nothing', rawMessage({ kind: 1, fields: [headerField(1, 'o', longText('/'))] })],
    [
      'a signal of no interface',
      rawMessage({ kind: 4, fields: [headerField(1, 'o', longText('/')), headerField(3, 's', text)] }),
    ],
    ['a field of the code 0', rawMessage({ fields: [replySerial, headerField(0, 's', text)] })],
    ['a field twice', rawMessage({ fields: [replySerial, replySerial] })],
    ['the serial of a reply as text', rawMessage({ fields: [headerField(5, 's', text)] })],
    ['a path as text', rawMessage({ fields: [replySerial, headerField(1, 's', longText('/'))] })],
    ['a signature as text', rawMessage({ fields: [replySerial, headerField(8, 's', longText('y'))] })],
    [
      'a signature of 100 kB',
      rawMessage({ fields: [replySerial, headerField(8, 's', longText('a'.repeat(100_000)))] }),
    ],
    ['a sender as a number', rawMessage({ fields: [replySerial, headerField(7, 'u', uint32(1))] })],
    ['a number of files as text', rawMessage({ fields: [replySerial, headerField(9, 's', text)] })],
    ['a body without a signature', rawMessage({ body: Buffer.alloc(8) })],
    ['a body that is too long', rawMessage({ signature: 'u', body: Buffer.alloc(8) })],
    ['a body that is too short', rawMessage({ signature: 'u', body: Buffer.alloc(3) })],
    ['arrays of nothing', rawMessage({ signature: 'a', body: uint32(4) })],
    ['arrays of an unknown type', rawMessage({ signature: 'az', body: uint32(4) })],
    ['a variant of nothing', rawMessage({ signature: 'v', body: shortText('') })],
    ['a variant of two', rawMessage({ signature: 'v', body: Buffer.concat([shortText('yy'), uint32(0)]) })],
    [
      'a variant of arrays of nothing',
      rawMessage({ signature: 'v', body: Buffer.concat([shortText('a'), uint32(4)]) }),
    ],
    ['an array of empty structs', rawMessage({ signature: 'a()', body: Buffer.alloc(8, 1) })],
    ['a signature among the values', rawMessage({ signature: 'g', body: shortText('a{vs}') })],
    [
      'an element across the end of its array',
      rawMessage({ signature: 'au', body: Buffer.concat([uint32(2), uint32(1)]) }),
    ],
    ['an array across the end of the message', rawMessage({ signature: 'ay', body: uint32(1) })],
    ['a truth value of 2', rawMessage({ signature: 'b', body: uint32(2) })],
    [
      'a string without its end',
      rawMessage({ signature: 's', body: Buffer.concat([uint32(3), Buffer.from('abcd')]) }),
    ],
    ['a string that ends early', rawMessage({ signature: 's', body: longText('a\0b') })],
    [
      'letters that are not UTF-8',
      rawMessage({ signature: 's', body: longText(Buffer.from([0xf0, 0x9f, 0x98])) }),
    ],
    ['a path without a slash', rawMessage({ signature: 'o', body: longText('a') })],
    ['a path with a quote', rawMessage({ signature: 'o', body: longText("/a',b='") })],
    ['a path that ends in a slash', rawMessage({ signature: 'o', body: longText('/a/') })],
    [
      'something between two values',
      rawMessage({ signature: 'yu', body: Buffer.concat([Buffer.from([1, 1, 0, 0]), uint32(1)]) }),
    ],
  ])('%s', (_, message) => {
    const length = messageLength(message);
    expect(length).toBe(message.length);
    expect(() => decodeMessage(message)).toThrow(MalformedMessage);
  });
});

test('a message is refused by its first bytes when it would be too long', () => {
  const message = rawMessage({ fields: [replySerial, headerField(8, 's', longText('a'.repeat(900_000)))] });
  expect(() => messageLength(message.subarray(0, 16))).toThrow(MalformedMessage);
});

test('the costliest message is read within a second', () => {
  const struct = `${'('.repeat(31)}y${')'.repeat(31)}`;
  const body = Buffer.concat([
    uint32(120_001),
    uint32(0),
    Buffer.alloc(120_001, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])),
  ]);
  const message = rawMessage({ signature: `a${struct}`, body });
  const begun = performance.now();
  expect(decodeMessage(message).body).toHaveLength(1);
  expect(performance.now() - begun).toBeLessThan(1_000);
});

describe('what the specification allows is understood:', () => {
  test.each<[string, Buffer, unknown[]]>([
    ['no body', rawMessage(), []],
    [
      'an array without elements',
      rawMessage({ signature: 'a(a{sv}s)y', body: Buffer.concat([uint32(0), uint32(0), Buffer.from([7])]) }),
      [[], 7],
    ],
    [
      'empty arrays one in another',
      rawMessage({ signature: 'aasu', body: Buffer.concat([uint32(8), uint32(0), uint32(0), uint32(3)]) }),
      [[[], []], 3],
    ],
    ['the mark of replacement as text', rawMessage({ signature: 's', body: longText('\ufffd') }), ['\ufffd']],
    ['no text', rawMessage({ signature: 's', body: longText('') }), ['']],
  ])('%s', (_, message, body) => {
    expect(decodeMessage(message)).toMatchObject({ kind: 'reply', replySerial: 2, body });
  });

  test('a field and a kind that are newer than this client', () => {
    expect(decodeMessage(rawMessage({ fields: [replySerial, headerField(77, 's', text)] }))).toMatchObject({
      kind: 'reply',
    });
    expect(decodeMessage(rawMessage({ kind: 9 }))).toMatchObject({ kind: 'unknown' });
  });
});
