import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { decodeMessage, encodeMessage, messageLength, type Message } from '../../src/dbus/message.js';
import { Variant, type Value } from '../../src/dbus/wire.js';
import type { BusSession } from './keyring.js';

/** Whatever listens where a bus should be. */
export async function startPeer(conduct: (socket: Socket) => void): Promise<BusSession> {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-peer-'));
  const path = join(folder, 'bus');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    conduct(socket);
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true });
    },
  };
}

type Answer = Partial<Message> | 'silence';

export interface Script {
  readonly locked?: boolean;
  /** The item asks for an unlocking of its own. */
  readonly itemLocked?: boolean;
  readonly dialog?: 'confirmed' | 'dismissed' | 'ignored';
  /** By member. */
  readonly answers?: Readonly<Record<string, Answer>>;
  /** The bytes of an answer that no keyring would give. */
  readonly forge?: (call: Message) => Buffer | undefined;
  /** There is no item until one is written, which needs no dialog. */
  readonly empty?: boolean;
  /** How many bytes are sent at a time. */
  readonly chunkSize?: number;
}

export interface ScriptedKeyring extends BusSession {
  /** The members called so far. */
  readonly calls: string[];
  /** Milliseconds until an answer, by member: so long a person needs for a dialog that the keyring shows by itself. */
  readonly delays: Map<string, number>;
}

const collection = '/org/freedesktop/secrets/collection/scripted';
const item = `${collection}/1`;
const session = '/org/freedesktop/secrets/session/1';
const prompt = '/org/freedesktop/secrets/prompt/1';
const isLocked: Answer = { kind: 'error', errorName: 'org.freedesktop.Secret.Error.IsLocked' };

/** A bus and a keyring in one, with one item that holds `secret`, for what no real keyring does on command. */
export async function startScriptedKeyring(script: Script = {}): Promise<ScriptedKeyring> {
  const calls: string[] = [];
  const delays = new Map<string, number>();
  let { locked = false, itemLocked = false } = script;
  let secret = script.empty ? undefined : 'secret';
  const answer = (member: string, [, name]: readonly Value[]): Answer => {
    const scripted = script.answers?.[member];
    if (scripted) return scripted;
    switch (member) {
      case 'Get':
        return values('v', name === 'Locked' ? new Variant('b', locked) : new Variant('ao', [collection]));
      case 'ReadAlias':
        return values('o', collection);
      case 'OpenSession':
        return values('vo', new Variant('ay', Buffer.alloc(0)), session);
      case 'SearchItems':
        return values('ao', locked || secret === undefined ? [] : [item]);
      case 'GetSecret':
        return itemLocked
          ? isLocked
          : values('(oayays)', [session, Buffer.alloc(0), Buffer.from(secret ?? ''), 'text/plain']);
      case 'Unlock':
        return values('aoo', [], prompt);
      case 'CreateItem':
        secret = writtenSecret(name) ?? secret;
        return values('oo', '/', script.empty ? '/' : prompt);
      case 'Delete':
        return values('o', prompt);
      default:
        return {};
    }
  };
  const peer = await startPeer((socket) => {
    let sending = Promise.resolve();
    const send = (message: Message): void => {
      const bytes = encodeMessage(message);
      const size = script.chunkSize ?? bytes.length;
      sending = sending.then(async () => {
        for (let start = 0; start < bytes.length; start += size) {
          socket.write(bytes.subarray(start, start + size));
          await setImmediate();
        }
      });
    };
    receiveCalls(socket, (call) => {
      const member = call.member ?? '';
      calls.push(member);
      const forged = script.forge?.(call);
      if (forged) {
        socket.write(forged);
        return;
      }
      const reply = answer(member, call.body ?? []);
      const sendReply = (): void => {
        if (reply === 'silence') return;
        send({ kind: 'reply', serial: calls.length, replySerial: call.serial, ...reply });
      };
      const delayMs = delays.get(member);
      if (delayMs === undefined) sendReply();
      else setTimeout(sendReply, delayMs);
      if (member !== 'Prompt' || !script.dialog || script.dialog === 'ignored') return;
      const dismissed = script.dialog === 'dismissed';
      if (!dismissed) locked = itemLocked = false;
      const completed = { interface: 'org.freedesktop.Secret.Prompt', member: 'Completed', path: prompt };
      const body = [dismissed, new Variant('ao', [])];
      send({ kind: 'signal', serial: calls.length, ...completed, signature: 'bv', body });
    });
  });
  return { ...peer, calls, delays };
}

function writtenSecret(value: Value | undefined): string | undefined {
  const [, , secret] = Array.isArray(value) ? value : [];
  return Buffer.isBuffer(secret) ? secret.toString() : undefined;
}

function values(signature: string, ...body: Value[]): Answer {
  return { signature, body };
}

function receiveCalls(socket: Socket, receive: (call: Message) => void): void {
  let isAuthenticated = false;
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const begin = received.indexOf('BEGIN\r\n');
    if (!isAuthenticated && begin >= 0) {
      isAuthenticated = true;
      received = received.subarray(begin + 'BEGIN\r\n'.length);
      socket.write('DATA\r\nOK 0123456789abcdef\r\n');
    }
    for (;;) {
      const length = isAuthenticated ? messageLength(received) : undefined;
      if (length === undefined || received.length < length) return;
      const message = decodeMessage(received.subarray(0, length));
      received = received.subarray(length);
      receive(message);
    }
  });
}
