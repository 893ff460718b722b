import { MalformedMessage, marshal, unmarshal, Variant } from './dbus-wire.js';
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

/** Byte order, kind, flags, version, length of the body, serial, fields. */
const headerSignature = 'yyyyuua(yv)';
const bodyLengthAt = 4;
const fieldsLengthAt = 12;
const fieldsAt = 16;

export function encodeMessage(message: Message): Buffer {
  const body = marshal(message.signature ?? '', message.body ?? []);
  const header = marshal(headerSignature, [
    'l'.charCodeAt(0),
    kinds.indexOf(message.kind),
    0,
    protocolVersion,
    body.length,
    message.serial,
    [
      ...headerField(1, 'o', message.path),
      ...headerField(2, 's', message.interface),
      ...headerField(3, 's', message.member),
      ...headerField(4, 's', message.errorName),
      ...headerField(5, 'u', message.replySerial),
      ...headerField(6, 's', message.destination),
      ...headerField(8, 'g', message.signature),
    ],
  ]);
  return Buffer.from(header + '\0'.repeat(-header.length & 7) + body, 'latin1');
}

function headerField(code: number, signature: string, value: string | number | undefined): Value[] {
  return value === undefined ? [] : [[code, new Variant(signature, value)]];
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
  const littleEndian = isLittleEndian(bytes);
  const header = unmarshal(bytes, littleEndian, headerSignature);
  const [, kind, , , , serial, fields] = header.values;
  const byCode = new Map(listOf(fields).map((field) => [listOf(field)[0], variantOf(listOf(field)[1])]));
  const text = (code: number): string | undefined => {
    const value = byCode.get(code);
    return typeof value === 'string' ? value : undefined;
  };
  const replySerial = byCode.get(5);
  const signature = text(8) ?? '';
  return {
    kind: kinds[Number(kind)] ?? 'unknown',
    serial: Number(serial),
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    destination: text(6),
    path: text(1),
    interface: text(2),
    member: text(3),
    errorName: text(4),
    signature,
    body: unmarshal(bytes, littleEndian, signature, Math.ceil(header.end / 8) * 8).values,
  };
}

/** The elements of an array or a struct. */
export function listOf(value: Value | undefined): readonly Value[] {
  if (typeof value !== 'object' || value === null || value instanceof Variant || Buffer.isBuffer(value)) {
    throw new MalformedMessage('an array or a struct is missing');
  }
  return value;
}

function variantOf(value: Value | undefined): Value | undefined {
  return value instanceof Variant ? value.value : undefined;
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
