import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { pid, platform } from 'node:process';

import { describe, expect, test } from 'vitest';

import { encodeMessage } from '../../src/dbus/message.js';
import { Variant, type Value } from '../../src/dbus/wire.js';
import { secretService } from '../../src/store/secret-service.js';
import { forThisTest } from '../support/keyring.js';
import { startPeer, startScriptedKeyring } from '../support/scripted-keyring.js';

const patience = { timeoutMs: 300, mayPrompt: false };
const welcome = 'DATA\r\nOK 0123456789abcdef\r\n';
const hello = encodeMessage({ kind: 'reply', serial: 1, replySerial: 1, signature: 's', body: [':1.1'] });

/** A message's first 16 bytes, which promise so much. */
function messageStart(bodyLength: number, fieldsLength: number): Buffer {
  const start = Buffer.alloc(16);
  start.write('l');
  start.writeUInt8(2, 1);
  start.writeUInt8(1, 3);
  start.writeUInt32LE(bodyLength, 4);
  start.writeUInt32LE(1, 8);
  start.writeUInt32LE(fieldsLength, 12);
  return start;
}

function reply(signature: string, body: Value[]): Buffer {
  return encodeMessage({ kind: 'reply', serial: 2, replySerial: 2, signature, body });
}

/** A reply whose body is these bytes, whatever its signature says. */
function forgedReply(signature: string, body: Buffer): Buffer {
  const { length } = signature;
  const honest = reply(
    'y'.repeat(length),
    Array.from({ length }, () => 0),
  );
  const header = honest.subarray(0, -length);
  header.write(signature, header.lastIndexOf('yyy'.slice(0, length)));
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}

function nested(depth: number): Variant {
  let value = new Variant('u', 1);
  for (let level = 0; level < depth; level += 1) value = new Variant('v', value);
  return value;
}

function says(...answers: readonly (string | Buffer)[]): (socket: Socket) => void {
  return (socket) => {
    for (const answer of answers) socket.write(answer);
  };
}

describe('a peer that is no proper bus', () => {
  test.each([
    [
      'ends its side at once',
      (socket: Socket): void => void socket.end(),
      'no_bus',
      'the bus closed the connection',
    ],
    ['hangs up at once', (socket: Socket): void => void socket.destroy(), 'no_bus', ''],
    ['speaks HTTP', says('HTTP/1.1 400 Bad Request\r\n\r\n'), 'no_bus', 'what listens there is no bus'],
    ['never ends its first line', says('D'.repeat(5_000)), 'no_bus', 'what listens there is no bus'],
    ['sends noise for a greeting', says(Buffer.alloc(5_000, 0xff)), 'no_bus', 'what listens there is no bus'],
    ['rejects the user', says('REJECTED EXTERNAL\r\n'), 'no_bus', '(it refused this user)'],
    ['says nothing', says(), 'timeout', 'the D-Bus of this session did not answer within 0.3 s'],
    ['says nothing after the greeting', says(welcome), 'timeout', 'the D-Bus of this session did not'],
    ['says nothing after Hello', says(welcome, hello), 'timeout', 'the keyring did not answer'],
    [
      'sends noise for a message',
      says(welcome, Buffer.alloc(64, 0xff)),
      'refused',
      'begins with no byte order',
    ],
    [
      'announces a body of 4 GiB',
      says(welcome, messageStart(0xffffffff, 0)),
      'refused',
      'a message is too long',
    ],
    [
      'announces a header of 4 GiB',
      says(welcome, messageStart(0, 0xffffffff)),
      'refused',
      'a message is too long',
    ],
    ['stops in the middle of a message', says(welcome, hello.subarray(0, 30)), 'timeout', 'did not answer'],
    ['nests values without end', says(welcome, reply('v', [nested(100)])), 'refused', 'nested too deeply'],
    ['breaks a signature off', says(welcome, forgedReply('a(', Buffer.alloc(8))), 'refused', 'unknown type'],
    ['invents a type', says(welcome, forgedReply('u?', Buffer.alloc(8))), 'refused', 'unknown type'],
    ['leaves a struct empty', says(welcome, forgedReply('()', Buffer.alloc(8))), 'refused', 'unknown type'],
    [
      'lets a string overrun',
      says(welcome, forgedReply('su', Buffer.alloc(8, 0x7f))),
      'refused',
      'reaches beyond',
    ],
    [
      'lets an array overrun',
      says(welcome, forgedReply('au', Buffer.alloc(8, 0x7f))),
      'refused',
      'reaches beyond',
    ],
  ] as const)('that %s is told in one line, in time', async (_, conduct, reason, message) => {
    const peer = await forThisTest(startPeer(conduct));
    const started = performance.now();
    expect(await secretService(peer.env).read('ann', patience)).toMatchObject({
      kind: 'unavailable',
      reason,
      message: expect.stringContaining(message),
    });
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

test('answers that come a byte at a time are put together', async () => {
  const keyring = await forThisTest(startScriptedKeyring({ chunkSize: 1 }));
  expect(await secretService(keyring.env).read('ann', { ...patience, timeoutMs: 5_000 })).toEqual({
    kind: 'found',
    secret: 'secret',
  });
});

test('the connection ends with the answer', async () => {
  const sockets: Socket[] = [];
  const peer = await forThisTest(
    startPeer((socket) => {
      sockets.push(socket);
      socket.resume().write(`${welcome}garbage-garbage-`);
    }),
  );
  await secretService(peer.env).read('ann', patience);
  const [socket] = sockets;
  if (socket && !socket.closed) await once(socket, 'close');
  expect(sockets).toHaveLength(1);
});

test('the next one is tried when the first is no bus, or nobody listens, or it cannot exist', async () => {
  const keyring = await forThisTest(startScriptedKeyring());
  const tooLong = `unix:path=/${'x'.repeat(200)}`;
  const stranger = await forThisTest(startPeer(says('220 mail.example ESMTP\r\n')));
  const strange = stranger.env.DBUS_SESSION_BUS_ADDRESS;
  const address = `${strange};unix:path=/nonexistent/bus;${tooLong};unix:path=%00;${keyring.env.DBUS_SESSION_BUS_ADDRESS}`;
  const keychain = secretService({ DBUS_SESSION_BUS_ADDRESS: address });
  expect(await keychain.read('ann', patience)).toEqual({ kind: 'found', secret: 'secret' });
});

test.skipIf(platform !== 'linux')('a bus at an abstract name is reached', async () => {
  const name = `authcli-test-${pid}`;
  const server = createServer((socket) => void socket.end('REJECTED EXTERNAL\r\n')).listen(`\0${name}`);
  await once(server, 'listening');
  const keychain = secretService({ DBUS_SESSION_BUS_ADDRESS: `unix:abstract=${name}` });
  expect(await keychain.read('ann', patience)).toMatchObject({
    message: expect.stringContaining('it refused this user'),
  });
  server.close();
});
