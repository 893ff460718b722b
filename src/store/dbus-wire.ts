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

/** What the peer sent is no D-Bus. */
export class MalformedMessage extends Error {}

// This runs once per process, uncompiled: few functions, and bytes as characters of a string, which is the cheapest
// buffer that grows.

/** The specification allows no deeper nesting; without a limit a hostile variant could exhaust the stack. */
const deepestNesting = 64;

/** Of each type, and of arrays and structs their first byte. */
const alignments: Readonly<Record<string, number>> = {
  y: 1,
  n: 2,
  q: 2,
  b: 4,
  i: 4,
  u: 4,
  h: 4,
  x: 8,
  t: 8,
  d: 8,
  s: 4,
  o: 4,
  g: 1,
  v: 1,
  a: 4,
  '(': 8,
  '{': 8,
};

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

/** The values that begin at `start`, and where they end. */
export function unmarshal(
  bytes: Buffer,
  isLittleEndian: boolean,
  signature: string,
  start = 0,
): { readonly values: Value[]; readonly end: number } {
  let offset = start;
  const take = (size: number): number => {
    const from = offset;
    offset += size;
    if (offset > bytes.length) throw new MalformedMessage('a value reaches beyond its message');
    return from;
  };
  const align = (code: string): number => take(-offset & ((alignments[code] ?? 1) - 1));
  const length = (): number => {
    const from = take(4);
    return isLittleEndian ? bytes.readUInt32LE(from) : bytes.readUInt32BE(from);
  };
  const text = (size: number): string => {
    const from = take(size + 1);
    return bytes.toString('utf8', from, from + size);
  };
  const readAll = (type: string, from: number, to: number, nesting: number): Value[] => {
    const values: Value[] = [];
    for (let at = from; at < to; at = endOfType(type, at)) values.push(read(type, at, nesting));
    return values;
  };
  const read = (type: string, at: number, nesting: number): Value => {
    if (nesting > deepestNesting) throw new MalformedMessage('a value is nested too deeply');
    const code = type.charAt(at);
    align(code);
    switch (code) {
      case 's':
      case 'o':
        return text(length());
      case 'g':
        return text(bytes.readUInt8(take(1)));
      case 'u':
        return length();
      case 'b':
        return length() !== 0;
      case 'y':
        return bytes.readUInt8(take(1));
      case 'v': {
        const inner = text(bytes.readUInt8(take(1)));
        if (endOfType(inner, 0) !== inner.length) throw new MalformedMessage('a variant holds one value');
        return new Variant(inner, read(inner, 0, nesting + 1));
      }
      case 'a': {
        const size = length();
        const element = type.charAt(at + 1);
        align(element);
        const end = offset + size;
        if (element === 'y') return bytes.subarray(take(size), end);
        const elements: Value[] = [];
        while (offset < end) elements.push(read(type, at + 1, nesting + 1));
        return elements;
      }
      case '(':
      case '{':
        return readAll(type, at + 1, endOfType(type, at) - 1, nesting + 1);
      default:
        take(alignments[code] ?? 0);
        return null;
    }
  };
  const values = readAll(signature, 0, signature.length, 0);
  return { values, end: offset };
}

function endOfType(signature: string, start: number): number {
  const code = signature.charAt(start);
  if (code === 'a') return endOfType(signature, start + 1);
  if (alignments[code] === undefined) throw new MalformedMessage('unknown type in a signature');
  if (code !== '(' && code !== '{') return start + 1;
  let end = start + 1;
  do end = endOfType(signature, end);
  while (signature.charAt(end) !== (code === '(' ? ')' : '}'));
  return end + 1;
}
