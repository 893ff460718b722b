import { MalformedMessage } from './malformed-message.js';

const longest = 255;
const mostArrays = 32;
const mostStructs = 32;

/** The alignment of each type; of arrays, structs and dictionary entries that of their first byte. */
export const alignments: Readonly<Record<string, number>> = {
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

/**
 * Throws unless it is a signature of the specification ("Valid Signatures"): the reader of values relies on it. Every type
 * of a valid signature takes at least a byte, so that no array holds more elements than bytes.
 */
export function assertSignature(signature: string): void {
  if (signature.length > longest) throw new MalformedMessage('a signature is too long');
  for (let at = 0; at < signature.length;) at = endOfType(signature, at);
}

/** As `assertSignature`, and it is of exactly one type. */
export function assertSingleType(signature: string): void {
  if (signature.length > longest) throw new MalformedMessage('a signature is too long');
  if (endOfType(signature, 0) !== signature.length) throw new MalformedMessage('a variant holds one value');
}

/** The place behind the type that begins at `start`. The levels count what is open around it. */
export function endOfType(signature: string, start: number, arrays = 0, structs = 0): number {
  const code = signature.charAt(start);
  switch (code) {
    case 'a':
      if (arrays === mostArrays) throw new MalformedMessage('a signature is nested too deeply');
      return signature.charAt(start + 1) === '{'
        ? endOfEntry(signature, start + 1, arrays + 1, structs)
        : endOfType(signature, start + 1, arrays + 1, structs);
    case '(': {
      if (structs === mostStructs) throw new MalformedMessage('a signature is nested too deeply');
      let end = start + 1;
      // A struct that is not closed ends the loop too: behind the signature there is no type, and that throws.
      do end = endOfType(signature, end, arrays, structs + 1);
      while (signature.charAt(end) !== ')');
      return end + 1;
    }
    case '{':
      throw new MalformedMessage('a dictionary entry stands outside an array');
    default:
      if (alignments[code] === undefined) throw new MalformedMessage('unknown type in a signature');
      return start + 1;
  }
}

/** A dictionary entry is a key of a basic type and one value. */
function endOfEntry(signature: string, start: number, arrays: number, structs: number): number {
  if (structs === mostStructs) throw new MalformedMessage('a signature is nested too deeply');
  if (/^[av({]/.test(signature.charAt(start + 1)))
    throw new MalformedMessage('the key of a dictionary is not of a basic type');
  const valueAt = endOfType(signature, start + 1, arrays, structs + 1);
  const end = endOfType(signature, valueAt, arrays, structs + 1);
  if (signature.charAt(end) !== '}')
    throw new MalformedMessage('a dictionary entry has more than two members');
  return end + 1;
}
