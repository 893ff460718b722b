import { encodeMessage, type Message } from '../../../src/dbus/message.js';
import { Variant, type Value } from '../../../src/dbus/wire.js';
import { longText, rawMessage, headerField, uint32 } from '../../support/raw-message.js';
import { isValidSignature } from '../../support/valid-signature.js';
import type { Chance } from './chance.js';
import { hostileTexts } from './hostile-text.js';
import { invalid, open, type Finding } from './verdict.js';

export interface TriedMessage {
  readonly bytes: Buffer;
  /** As it must be understood, where that is known. */
  readonly body?: readonly Value[];
  readonly findings: readonly Finding[];
}

const basic = ['y', 'b', 'u', 's', 'o', 'g'] as const;

/** What a keyring might say, and what a hostile one would make of it. */
export function mutatedMessage(chance: Chance): TriedMessage {
  if (chance.happens(0.3)) return withSignature(chance);
  const { message, bytes } = goodMessage(chance);
  if (chance.happens(0.35)) return { bytes, body: message.body ?? [], findings: [] };
  return { bytes: damaged(bytes, chance), findings: [open('a damaged message may still be one')] };
}

function goodMessage(chance: Chance): { message: Message; bytes: Buffer } {
  const types = Array.from({ length: chance.below(4) }, () => randomType(chance, 4));
  const message: Message = {
    kind: 'reply',
    serial: 1 + chance.below(9),
    replySerial: 1 + chance.below(9),
    destination: ':1.7',
    signature: types.join(''),
    body: types.map((type) => randomValue(type, chance)),
  };
  return { message, bytes: encodeMessage(message) };
}

function randomType(chance: Chance, depth: number): string {
  const within = depth > 0 ? chance.below(6) : 0;
  const next = (): string => randomType(chance, depth - 1);
  if (within === 1) return `a${next()}`;
  if (within === 2) return `(${next()}${chance.happens(0.5) ? next() : ''})`;
  if (within === 3) return `a{${chance.pick(basic)}${next()}}`;
  if (within === 4) return 'v';
  return chance.pick(basic);
}

/** A value that reads as it was written. */
function randomValue(type: string, chance: Chance): Value {
  switch (type.charAt(0)) {
    case 'y':
      return chance.below(256);
    case 'b':
      return chance.happens(0.5);
    case 'u':
      return chance.below(2 ** 32);
    case 's':
      return chance.pick(['', 'secret', 'é', '\ufffd', '💥'.repeat(chance.below(50))]);
    case 'o':
      return chance.pick(['/', '/org/freedesktop/secrets/collection/_1']);
    case 'g':
      return chance.pick(['', 'a{sv}', '(oayays)']);
    case 'v': {
      const inner = randomType(chance, 2);
      return new Variant(inner, randomValue(inner, chance));
    }
    case 'a': {
      const length = chance.below(4);
      if (type === 'ay') return Buffer.alloc(length, chance.below(256));
      return Array.from({ length }, () => randomValue(type.slice(1), chance));
    }
    default:
      return typesWithin(type).map((member) => randomValue(member, chance));
  }
}

/** The members of a struct, or of an entry of a dictionary. */
function typesWithin(type: string): string[] {
  const members: string[] = [];
  let depth = 0;
  let begun = '';
  for (const code of type.slice(1, -1)) {
    begun += code;
    if (code === '(' || code === '{') depth += 1;
    if (code === ')' || code === '}') depth -= 1;
    if (depth > 0 || code === 'a') continue;
    members.push(begun);
    begun = '';
  }
  return members;
}

/** A signature of any kind, in the header or in a variant, before bytes that may fit it. */
function withSignature(chance: Chance): TriedMessage {
  const signature = mutatedSignature(chance);
  const body = Buffer.from(
    Array.from({ length: 8 * chance.below(6) }, () => chance.pick([0, 0, 0, 1, 4, 255])),
  );
  const isLong = signature.length > 255;
  const rule = 'D-Bus specification, "Valid Signatures"';
  const findings = [isValidSignature(signature) ? open('the body need not fit') : invalid(rule)];
  if (isLong) {
    const fields = [headerField(5, 'u', uint32(1)), headerField(8, 's', longText(signature))];
    return { bytes: rawMessage({ fields, body }), findings };
  }
  if (chance.happens(0.5)) return { bytes: rawMessage({ signature, body }), findings };
  const within = Buffer.from(`${String.fromCharCode(signature.length)}${signature}\0`, 'latin1');
  return {
    bytes: rawMessage({ signature: 'v', body: Buffer.concat([within, body]) }),
    findings,
  };
}

const single = 'y b n q i u x t d s o g v h a ( ) { }'.split(' ');

function mutatedSignature(chance: Chance): string {
  const wrong = ['a', 'az', 'va', 'a()', '()', '(', 'a{', 'a{vs}', '{sv}', 'a(', 'aaa', '\0', 'é', ' '];
  const long = ['a', '(', 'y', 'a(', 'a{y', 'v', '()', 'aay'];
  let signature = Array.from({ length: chance.below(4) }, () => randomType(chance, 4)).join('');
  for (let changes = chance.below(4); changes > 0; changes -= 1) {
    const at = chance.below(signature.length + 1);
    const piece = chance.happens(0.8)
      ? chance.pick([...wrong, ...single])
      : chance.pick(long).repeat(chance.pick([31, 32, 33, 64, 127, 254, 255, 256]));
    signature = signature.slice(0, at) + piece + signature.slice(at + chance.below(2));
  }
  return chance.happens(0.01) ? chance.pick(long).repeat(300_000) : signature;
}

function damaged(bytes: Buffer, chance: Chance): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = 1 + chance.below(4); changes > 0; changes -= 1) {
    const at = chance.below(result.length);
    switch (chance.below(6)) {
      case 0:
        result.writeUInt8(result.readUInt8(at) ^ (1 << chance.below(8)), at);
        break;
      case 1:
        result.writeUInt8(chance.pick([0, 1, 2, 127, 128, 255, 0x61, 0x28, 0x76, 0x42]), at);
        break;
      case 2: {
        const size = Math.min(4, result.length - at);
        uint32(chance.pick([0, 1, 8, 255, 65_536, 67_108_865, 0x7fffffff, 0xffffffff])).copy(
          result,
          at,
          0,
          size,
        );
        break;
      }
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1 + chance.below(8))]);
        break;
      case 4:
        result = Buffer.concat([
          result.subarray(0, at),
          result.subarray(at, at + chance.below(40)),
          result.subarray(at),
        ]);
        break;
      default:
        result = Buffer.concat([
          result.subarray(0, at),
          Buffer.from(chance.pick(hostileTexts)),
          result.subarray(at),
        ]);
    }
  }
  return result.subarray(0, 1 << 20);
}
