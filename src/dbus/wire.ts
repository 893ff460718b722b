import { isUtf8 } from 'node:buffer';
import { MalformedMessage } from './malformed-message.js';
import { alignments, assertSignature, assertSingleType, endOfType } from './signature.js';

/** U+FFFD; spelt out, a bundle of all the program would take two bytes for each of its characters. */
const replacement = String.fromCodePoint(0xff_fd);

/**
 * D-Bus values, by their signatures (D-Bus specification, "Type System" and "Marshaling").
 * `ay` is a Buffer, other arrays and structs are arrays, a dictionary is an array of pairs. Numbers of kinds that no
 * caller needs are read as null.
 */
export type Value = null | boolean | number | string | Buffer | Variant | readonly Value[];

export class Variant {
  readonly signature: string;
  readonly value: Value;

  constructor(signature: string, value: Value) {
    this.signature = signature;
    this.value = value;
  }
}

// This runs once per process, uncompiled: few functions, and bytes as characters of a string, which is the cheapest
// buffer that grows.

/** The specification allows no deeper nesting, the values inside variants included. */
const deepestNesting = 64;

/** The values as bytes, one per character. It begins where a message or its body does: at a multiple of 8. */
export function marshal(signature: string, values: readonly Value[]): string {
  let bytes = '';
  const align = (boundary: number): void => {
    while (bytes.length % boundary !== 0) bytes += '\0';
  };
  const write = (type: string, at: number, value: Value): void => {
    const code = type.charAt(at);
    align(alignments[code] ?? 1);
    if (value instanceof Variant) {
      bytes += `${character(value.signature.length)}${value.signature}\0`;
      write(value.signature, 0, value.value);
    } else if (typeof value === 'string') {
      const text = Buffer.from(value).toString('latin1');
      bytes += `${code === 'g' ? character(text.length) : uint32(text.length)}${text}\0`;
    } else if (Buffer.isBuffer(value)) {
      bytes += uint32(value.length) + value.toString('latin1');
    } else if (typeof value !== 'object') {
      bytes += code === 'y' ? character(Number(value)) : uint32(Number(value));
    } else if (value !== null && code === 'a') {
      const lengthAt = bytes.length;
      bytes += uint32(0);
      align(alignments[type.charAt(at + 1)] ?? 1);
      const start = bytes.length;
      for (const element of value) write(type, at + 1, element);
      bytes = bytes.slice(0, lengthAt) + uint32(bytes.length - start) + bytes.slice(lengthAt + 4);
    } else if (value !== null) {
      writeAll(type, at + 1, value);
    }
  };
  const writeAll = (type: string, from: number, all: readonly Value[]): number => {
    let at = from;
    for (const value of all) {
      write(type, at, value);
      at = endOfType(type, at);
    }
    return at;
  };
  if (writeAll(signature, 0, values) !== signature.length)
    throw new TypeError(`too few values for ${signature}`);
  return bytes;
}

function uint32(value: number): string {
  return String.fromCharCode(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
}

function character(code: number): string {
  return String.fromCharCode(code);
}

/**
 * The values that begin at `start`, and where they end. Throws a MalformedMessage for anything that the specification forbids.
 * @param signature a valid one
 */
export function unmarshal(
  bytes: Buffer,
  isLittleEndian: boolean,
  signature: string,
  start = 0,
): { readonly values: Value[]; readonly end: number } {
  let offset = start;
  /** Where the type of the value that was read last ends in its signature. */
  let typeEnd = 0;
  const take = (size: number): number => {
    const from = offset;
    offset += size;
    if (offset > bytes.length) throw new MalformedMessage('a value reaches beyond its message');
    return from;
  };
  const align = (code: string): void => {
    const boundary = alignments[code] ?? 1;
    while (offset % boundary !== 0) {
      if (bytes[take(1)] !== 0) throw new MalformedMessage('there is something between two values');
    }
  };
  const number = (): number => {
    const from = take(4);
    return isLittleEndian ? bytes.readUInt32LE(from) : bytes.readUInt32BE(from);
  };
  const text = (size: number): string => {
    const from = take(size + 1);
    const characters = bytes.toString('utf8', from, from + size + 1);
    // The specification wants one NUL, at the end. A mark of replacement may be the peer's own.
    const isText =
      characters.indexOf('\0') === characters.length - 1 &&
      (!characters.includes(replacement) || isUtf8(bytes.subarray(from, from + size)));
    if (!isText) throw new MalformedMessage('a string is not text');
    return characters.slice(0, -1);
  };
  const readAll = (type: string, closing: string, nesting: number): Value[] => {
    const values: Value[] = [];
    while (type.charAt(typeEnd) !== closing) values.push(read(type, typeEnd, nesting));
    return values;
  };
  const read = (type: string, at: number, nesting: number): Value => {
    if (nesting > deepestNesting) throw new MalformedMessage('a value is nested too deeply');
    const code = type.charAt(at);
    align(code);
    typeEnd = at + 1;
    switch (code) {
      case 's':
        return text(number());
      case 'o':
        return objectPath(text(number()));
      case 'g': {
        const inner = text(bytes.readUInt8(take(1)));
        assertSignature(inner);
        return inner;
      }
      case 'u':
        return number();
      case 'b': {
        const value = number();
        if (value > 1) throw new MalformedMessage('a truth value is neither true nor false');
        return value === 1;
      }
      case 'y':
        return bytes.readUInt8(take(1));
      case 'v': {
        const inner = text(bytes.readUInt8(take(1)));
        assertSingleType(inner);
        const value = read(inner, 0, nesting + 1);
        typeEnd = at + 1;
        return new Variant(inner, value);
      }
      case 'a': {
        const size = number();
        align(type.charAt(at + 1));
        const end = offset + size;
        if (end > bytes.length) throw new MalformedMessage('a value reaches beyond its message');
        if (type.charAt(at + 1) === 'y') {
          typeEnd = at + 2;
          return bytes.subarray(take(size), end);
        }
        const elements: Value[] = [];
        while (offset < end) elements.push(read(type, at + 1, nesting + 1));
        if (offset > end) throw new MalformedMessage('an array is longer than it says');
        if (size === 0) typeEnd = endOfType(type, at);
        return elements;
      }
      case '(':
      case '{': {
        const members = readAll(type, code === '(' ? ')' : '}', nesting + 1);
        typeEnd += 1;
        return members;
      }
      default:
        take(alignments[code] ?? 0);
        return null;
    }
  };
  return { values: readAll(signature, '', 0), end: offset };
}

/** Throws unless it is a path of the specification: one goes into the rules that we give the bus. */
export function objectPath(text: string): string {
  if (!/^\/(?:\w+(?:\/\w+)*)?$/.test(text)) throw new MalformedMessage('an object has no proper path');
  return text;
}
