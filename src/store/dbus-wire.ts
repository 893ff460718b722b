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

const sizes: Record<string, number> = { y: 1, n: 2, q: 2, b: 4, i: 4, u: 4, h: 4, x: 8, t: 8, d: 8 };

/** The specification allows no deeper nesting; without a limit a hostile variant could exhaust the stack. */
const deepestNesting = 64;

// Signatures are walked by index, and messages built in one buffer: this runs once per process, uncompiled.

function alignment(code: string): number {
  if (code === '(' || code === '{') return 8;
  if (code === 'g' || code === 'v') return 1;
  return sizes[code] ?? 4;
}

function endOfType(signature: string, start: number): number {
  const code = signature.charAt(start);
  if (code === 'a') return endOfType(signature, start + 1);
  if (code === '(' || code === '{') {
    const closing = code === '(' ? ')' : '}';
    let end = start + 1;
    do end = endOfType(signature, end);
    while (signature.charAt(end) !== closing);
    return end + 1;
  }
  if (sizes[code] === undefined && code !== 's' && code !== 'o' && code !== 'g' && code !== 'v') {
    throw new MalformedMessage('unknown type in a signature');
  }
  return start + 1;
}

export class WireWriter {
  #bytes = Buffer.alloc(512);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  align(boundary: number): void {
    this.#reserve(-this.#length & (boundary - 1));
  }

  byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes.writeUInt8(value, at);
  }

  uint32(value: number): void {
    this.align(4);
    const at = this.#reserve(4);
    this.#bytes.writeUInt32LE(value, at);
  }

  /** Fills in a length that was not known before. */
  patch(offset: number, value: number): void {
    this.#bytes.writeUInt32LE(value, offset);
  }

  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.uint32(size);
    const at = this.#reserve(size + 1);
    this.#bytes.write(value, at);
  }

  signature(value: string): void {
    this.byte(value.length);
    const at = this.#reserve(value.length + 1);
    this.#bytes.write(value, at);
  }

  values(signature: string, values: readonly Value[], from = 0, to = signature.length): void {
    let start = from;
    for (const value of values) {
      this.#value(signature, start, value);
      start = endOfType(signature, start);
    }
    if (start !== to) throw new TypeError(`too few values for ${signature}`);
  }

  /** Room for so many bytes, all zero; returns where it begins. It may replace #bytes: call it before reading that. */
  #reserve(size: number): number {
    const start = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.alloc(this.#length * 2);
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    return start;
  }

  #value(signature: string, start: number, value: Value): void {
    const code = signature.charAt(start);
    if (typeof value === 'string') {
      if (code === 'g') this.signature(value);
      else this.text(value);
    } else if (typeof value === 'number') {
      if (code === 'y') this.byte(value);
      else this.uint32(value);
    } else if (typeof value === 'boolean') {
      this.uint32(value ? 1 : 0);
    } else if (value instanceof Variant) {
      this.signature(value.signature);
      this.#value(value.signature, 0, value.value);
    } else if (Buffer.isBuffer(value)) {
      this.uint32(value.length);
      const at = this.#reserve(value.length);
      value.copy(this.#bytes, at);
    } else if (value !== null && code === 'a') {
      this.#array(signature, start + 1, value);
    } else if (value !== null) {
      this.align(8);
      this.values(signature, value, start + 1, endOfType(signature, start) - 1);
    }
  }

  #array(signature: string, elementType: number, elements: readonly Value[]): void {
    this.uint32(0);
    const sizeAt = this.#length - 4;
    this.align(alignment(signature.charAt(elementType)));
    const start = this.#length;
    for (const element of elements) this.#value(signature, elementType, element);
    this.patch(sizeAt, this.#length - start);
  }
}

export class WireReader {
  readonly #bytes: Buffer;
  readonly #littleEndian: boolean;
  #offset = 0;

  constructor(bytes: Buffer, littleEndian: boolean) {
    this.#bytes = bytes;
    this.#littleEndian = littleEndian;
  }

  get offset(): number {
    return this.#offset;
  }

  align(boundary: number): void {
    this.#take(-this.#offset & (boundary - 1));
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  uint32(): number {
    this.align(4);
    const start = this.#take(4);
    return this.#littleEndian ? this.#bytes.readUInt32LE(start) : this.#bytes.readUInt32BE(start);
  }

  variant(nesting = 0): Variant {
    const signature = this.#text(this.byte());
    if (endOfType(signature, 0) !== signature.length) throw new MalformedMessage('a variant holds one value');
    return new Variant(signature, this.#value(signature, 0, nesting + 1));
  }

  values(signature: string): Value[] {
    return this.#values(signature, 0, signature.length, 0);
  }

  #values(signature: string, from: number, to: number, nesting: number): Value[] {
    const values: Value[] = [];
    for (let start = from; start < to; start = endOfType(signature, start)) {
      values.push(this.#value(signature, start, nesting));
    }
    return values;
  }

  #take(size: number): number {
    const start = this.#offset;
    if (start + size > this.#bytes.length) throw new MalformedMessage('a value reaches beyond its message');
    this.#offset += size;
    return start;
  }

  #text(size: number): string {
    const start = this.#take(size + 1);
    return this.#bytes.toString('utf8', start, start + size);
  }

  #value(signature: string, start: number, nesting: number): Value {
    if (nesting > deepestNesting) throw new MalformedMessage('a value is nested too deeply');
    const code = signature.charAt(start);
    this.align(alignment(code));
    if (code === 's' || code === 'o') return this.#text(this.uint32());
    if (code === 'g') return this.#text(this.byte());
    if (code === 'v') return this.variant(nesting);
    if (code === 'u') return this.uint32();
    if (code === 'b') return this.uint32() !== 0;
    if (code === 'y') return this.byte();
    if (code === 'a') return this.#array(signature, start + 1, nesting + 1);
    if (code === '(' || code === '{') {
      return this.#values(signature, start + 1, endOfType(signature, start) - 1, nesting + 1);
    }
    this.#take(sizes[code] ?? 0);
    return null;
  }

  #array(signature: string, elementType: number, nesting: number): Value {
    const size = this.uint32();
    const code = signature.charAt(elementType);
    this.align(alignment(code));
    const start = this.#offset;
    const end = start + size;
    if (code === 'y') return this.#bytes.subarray(this.#take(size), end);
    const elements: Value[] = [];
    while (this.#offset < end) elements.push(this.#value(signature, elementType, nesting));
    return elements;
  }
}
