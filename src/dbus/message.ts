import { MalformedMessage } from './malformed-message.js';
import { marshal, objectPath, unmarshal, Variant } from './wire.js';
import type { Value } from './wire.js';

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

/** The types of the header's fields, by their codes. Fields that the specification does not know yet are passed over. */
const fieldTypes = ['', 'o', 's', 's', 's', 'u', 's', 's', 'g', 'u'] as const;

/**
 * Keyrings answer with a few hundred bytes. The specification would allow 128 MiB, and this many bytes of the costliest
 * signature take a third of a second to read.
 */
const longestMessage = 1 << 17;

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

/** @param bytes as many as `messageLength` says */
export function decodeMessage(bytes: Buffer): Message {
  const littleEndian = isLittleEndian(bytes);
  const header = unmarshal(bytes, littleEndian, headerSignature);
  const [, kind, , version, , serial, fields] = header.values;
  if (kind === 0 || version !== protocolVersion || serial === 0)
    throw new MalformedMessage('a header makes no sense');
  const byCode = headerFields(fields);
  const signature = textIn(byCode, 8);
  const bodyAt = Math.ceil(header.end / 8) * 8;
  for (let at = header.end; at < bodyAt; at += 1) {
    if (bytes[at] !== 0) throw new MalformedMessage('there is something between header and body');
  }
  const body = unmarshal(bytes, littleEndian, signature ?? '', bodyAt);
  if (body.end !== bytes.length) throw new MalformedMessage('a body is longer than its signature says');
  const replySerial = byCode.get(5);
  const message: Message = {
    kind: kinds[Number(kind)] ?? 'unknown',
    serial: Number(serial),
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    destination: textIn(byCode, 6),
    path: textIn(byCode, 1),
    interface: textIn(byCode, 2),
    member: textIn(byCode, 3),
    errorName: textIn(byCode, 4),
    signature,
    body: body.values,
  };
  if (!isComplete(message)) throw new MalformedMessage('a field of a header is missing');
  return message;
}

function headerFields(fields: Value | undefined): ReadonlyMap<number, Value> {
  const byCode = new Map<number, Value>();
  for (const field of listOf(fields)) {
    const [code, variant] = listOf(field);
    if (typeof code !== 'number' || code === 0 || !(variant instanceof Variant) || byCode.has(code))
      throw new MalformedMessage('a header makes no sense');
    const type = fieldTypes[code];
    if (type !== undefined && type !== variant.signature)
      throw new MalformedMessage('a field of a header has another type');
    byCode.set(code, variant.value);
  }
  return byCode;
}

function textIn(byCode: ReadonlyMap<number, Value>, code: number): string | undefined {
  const value = byCode.get(code);
  return typeof value === 'string' ? value : undefined;
}

/** Each kind of message has fields that it cannot do without. */
function isComplete(message: Message): boolean {
  const { path, member, replySerial } = message;
  switch (message.kind) {
    case 'reply':
      return Boolean(replySerial);
    case 'error':
      return Boolean(replySerial && message.errorName);
    case 'call':
      return Boolean(path && member);
    case 'signal':
      return Boolean(path && message.interface && member);
    case 'unknown':
      return true;
  }
}

/** The elements of an array or a struct. */
export function listOf(value: Value | undefined): readonly Value[] {
  if (typeof value !== 'object' || value === null || value instanceof Variant || Buffer.isBuffer(value)) {
    throw new MalformedMessage('an array or a struct is missing');
  }
  return value;
}

/** A reply may have put a path into a string as well as into a value of its own type. */
export function pathOf(value: Value | undefined): string {
  if (typeof value !== 'string') throw new MalformedMessage('a path is missing');
  return objectPath(value);
}

function isLittleEndian(bytes: Buffer): boolean {
  const mark = bytes.toString('latin1', 0, 1);
  if (mark !== 'l' && mark !== 'B') throw new MalformedMessage('a message begins with no byte order');
  return mark === 'l';
}
