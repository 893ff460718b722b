import { MalformedMessage, Variant, WireReader, WireWriter } from './dbus-wire.js';
import type { Value } from './dbus-wire.js';

/** A D-Bus message as far as a client of method calls and signals needs it. */
export interface Message {
  readonly kind: 'call' | 'reply' | 'error' | 'signal' | 'unknown';
  readonly serial: number;
  readonly replySerial?: number | undefined;
  readonly destination?: string | undefined;
  readonly path?: string | undefined;
  readonly interface?: string | undefined;
  readonly member?: string | undefined;
  readonly errorName?: string | undefined;
  readonly signature?: string | undefined;
  readonly body?: readonly Value[] | undefined;
}

const kinds = ['unknown', 'call', 'reply', 'error', 'signal'] as const;
const protocolVersion = 1;

/** Keyrings answer with a few hundred bytes; the specification would let a peer make us buffer 128 MiB. */
const longestMessage = 1 << 20;

/** Where a message's header keeps the lengths of its body and of its fields. */
const bodyLengthAt = 4;
const fieldsLengthAt = 12;
const fieldsAt = 16;

export function encodeMessage(message: Message): Buffer {
  const writer = new WireWriter();
  const field = (code: number, type: 'o' | 's' | 'g' | 'u', value: string | number | undefined): void => {
    if (value === undefined) return;
    writer.align(8);
    writer.byte(code);
    writer.signature(type);
    writer.values(type, [value]);
  };
  writer.byte('l'.charCodeAt(0));
  writer.byte(kinds.indexOf(message.kind));
  writer.byte(0);
  writer.byte(protocolVersion);
  writer.uint32(0);
  writer.uint32(message.serial);
  writer.uint32(0);
  field(1, 'o', message.path);
  field(2, 's', message.interface);
  field(3, 's', message.member);
  field(4, 's', message.errorName);
  field(5, 'u', message.replySerial);
  field(6, 's', message.destination);
  field(8, 'g', message.signature);
  writer.patch(fieldsLengthAt, writer.length - fieldsAt);
  writer.align(8);
  const bodyAt = writer.length;
  writer.values(message.signature ?? '', message.body ?? []);
  writer.patch(bodyLengthAt, writer.length - bodyAt);
  return writer.bytes();
}

/** How long the message is that these bytes begin; undefined while too few have arrived to tell. */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < fieldsAt) return undefined;
  const littleEndian = isLittleEndian(bytes);
  const bodyLength = littleEndian ? bytes.readUInt32LE(bodyLengthAt) : bytes.readUInt32BE(bodyLengthAt);
  const fieldsLength = littleEndian ? bytes.readUInt32LE(fieldsLengthAt) : bytes.readUInt32BE(fieldsLengthAt);
  const length = fieldsAt + Math.ceil(fieldsLength / 8) * 8 + bodyLength;
  if (length > longestMessage) throw new MalformedMessage('a message is too long');
  return length;
}

export function decodeMessage(bytes: Buffer): Message {
  const reader = new WireReader(bytes, isLittleEndian(bytes));
  reader.byte();
  const kind = kinds[reader.byte()] ?? 'unknown';
  reader.byte();
  reader.byte();
  reader.uint32();
  const serial = reader.uint32();
  const fieldsEnd = reader.uint32() + fieldsAt;
  const fields = new Map<number, Value>();
  while (reader.offset < fieldsEnd) {
    reader.align(8);
    fields.set(reader.byte(), reader.variant().value);
  }
  reader.align(8);
  const text = (code: number): string | undefined => {
    const value = fields.get(code);
    return typeof value === 'string' ? value : undefined;
  };
  const replySerial = fields.get(5);
  const signature = text(8) ?? '';
  return {
    kind,
    serial,
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    destination: text(6),
    path: text(1),
    interface: text(2),
    member: text(3),
    errorName: text(4),
    signature,
    body: reader.values(signature),
  };
}

/** The elements of an array or a struct. */
export function listOf(value: Value | undefined): readonly Value[] {
  if (typeof value !== 'object' || value === null || value instanceof Variant || Buffer.isBuffer(value)) {
    throw new MalformedMessage('an array or a struct is missing');
  }
  return value;
}

export function textOf(value: Value | undefined): string {
  if (typeof value !== 'string') throw new MalformedMessage('a string is missing');
  return value;
}

function isLittleEndian(bytes: Buffer): boolean {
  const mark = bytes.toString('latin1', 0, 1);
  if (mark !== 'l' && mark !== 'B') throw new MalformedMessage('a message begins with no byte order');
  return mark === 'l';
}
