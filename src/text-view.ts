import { isUtf8 } from 'node:buffer';

/** A text as it may have been meant. Unit `n` of it stands between `from[n]` and `to[n]` of the original. */
export interface TextView {
  readonly text: string;
  readonly from: Int32Array;
  readonly to: Int32Array;
}

/** The letters and digits of a view, without case, and nothing else of it. */
export interface FoldedView extends TextView {
  /** Whether a word of the view begins with the unit. */
  readonly begins: readonly boolean[];
  /** Whether a word of the view ends with the unit. */
  readonly ends: readonly boolean[];
}

/** An escape may be escaped in turn: in a JSON document inside a query, for example. */
const mostDecodings = 3;

/** In turn: percent encoding; HTML; JSON and JavaScript; HTML again; white space in JavaScript; names, comments and tags of HTML. */
const escapes =
  /((?:%[\da-f]{2})+)|&#0*(\d{1,7});?|\\u([\da-f]{4})|\\u\{0*([\da-f]{1,6})\}|\\x([\da-f]{2})|&#x0*([\da-f]{1,6});?|%u([\da-f]{4})|\\[bfnrtv0]|&[a-z][a-z\d]{1,31};|<!--[^<>]{0,100}-->|<\/?[a-z][^<>]{0,100}>/gi;

/** The text as it stands. */
function viewOf(text: string): TextView {
  const places = Int32Array.from({ length: text.length + 1 }, (_, at) => at);
  return { text, from: places, to: places.subarray(1) };
}

/** The text as it stands, and what is left when its escapes are undone, once and again. */
export function viewsOf(text: string): TextView[] {
  let view: TextView | undefined = viewOf(text);
  const views: TextView[] = [];
  for (let round = 0; view !== undefined && round <= mostDecodings; round += 1) {
    views.push(view);
    view = decoded(view);
  }
  return views;
}

/** Undefined where nothing is escaped. */
function decoded(view: TextView): TextView | undefined {
  const found = [...view.text.matchAll(escapes)];
  if (found.length === 0) return undefined;
  let text = '';
  // No escape is shorter than what it stands for.
  const from = new Int32Array(view.text.length);
  const to = new Int32Array(view.text.length);
  const add = (units: string, start: number, end: number): void => {
    from.fill(view.from[start] ?? 0, text.length, text.length + units.length);
    to.fill(view.to[end - 1] ?? 0, text.length, text.length + units.length);
    text += units;
  };
  const copy = (start: number, end: number): void => {
    from.set(view.from.subarray(start, end), text.length);
    to.set(view.to.subarray(start, end), text.length);
    text += view.text.slice(start, end);
  };
  let end = 0;
  for (const match of found) {
    const [whole, percents, decimal, ...hexadecimal] = match;
    copy(end, match.index);
    end = match.index + whole.length;
    if (percents === undefined) {
      const hex = hexadecimal.find((digits) => digits !== undefined);
      add(characterOf(decimal, 10) ?? characterOf(hex, 16) ?? ' ', match.index, end);
    } else {
      let at = match.index;
      for (const one of percentDecoded(percents)) {
        add(one.character, at, at + 3 * one.bytes);
        at += 3 * one.bytes;
      }
    }
  }
  copy(end, view.text.length);
  return { text, from, to };
}

function characterOf(digits: string | undefined, base: number): string | undefined {
  if (digits === undefined) return undefined;
  const code = Number.parseInt(digits, base);
  return code > 0x10ffff ? ' ' : String.fromCodePoint(code);
}

/** With the number of bytes that each character takes. */
function percentDecoded(percents: string): { readonly character: string; readonly bytes: number }[] {
  const bytes = Buffer.from(percents.replaceAll('%', ''), 'hex');
  if (!isUtf8(bytes)) return Array.from(bytes.toString('latin1'), (one) => ({ character: one, bytes: 1 }));
  return Array.from(bytes.toString(), (one) => ({ character: one, bytes: Buffer.byteLength(one) }));
}

export function fold({ text, from, to }: TextView): FoldedView {
  let folded = '';
  const starts: number[] = [];
  const stops: number[] = [];
  const begins: boolean[] = [];
  const ends: boolean[] = [];
  let isInWord = false;
  for (let at = 0; at < text.length;) {
    const code = text.codePointAt(at) ?? 0;
    const next = at + (code > 0xffff ? 2 : 1);
    const units = foldedCharacter(code);
    for (let unit = 0; unit < units.length; unit += 1) {
      starts.push(from[at] ?? 0);
      stops.push(to[next - 1] ?? 0);
      begins.push(!isInWord && unit === 0);
      ends.push(unit === units.length - 1 && !isOfWord(text.codePointAt(next)));
    }
    folded += units;
    isInWord = isOfWord(code);
    at = next;
  }
  return { text: folded, from: Int32Array.from(starts), to: Int32Array.from(stops), begins, ends };
}

/** Letters and digits only, without case, accents and the forms that one alphabet has for printing. */
export function foldedText(text: string): string {
  const plain = text.normalize('NFKD').toLowerCase();
  // A small sigma at the end of a word is another character, and a cut may make an end.
  return plain.replaceAll('\u03c2', '\u03c3').replace(/[^\p{L}\p{N}]/gu, '');
}

function foldedCharacter(code: number): string {
  if (code > 127) return foldedText(String.fromCodePoint(code));
  const isSmallOrDigit = (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
  if (isSmallOrDigit) return String.fromCharCode(code);
  return code >= 65 && code <= 90 ? String.fromCharCode(code + 32) : '';
}

/** `-` and `_` join words: an option that has a secret's word in it is another word. */
function isOfWord(code: number | undefined): boolean {
  return code !== undefined && (code === 0x2d || code === 0x5f || foldedCharacter(code) !== '');
}
