import { fold, foldedText, viewsOf, type FoldedView, type TextView } from './text-view.js';

/** Where something stands in a text. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** So many letters and digits of a secret in a row are not a coincidence. */
const telling = 8;
/** In an encoded secret, only runs that begin so far apart are looked for: they overlap, or meet, and are a quarter or an eighth of all. */
const base64Stride = 4;
const hexStride = 8;
/** The encoded form of a short secret counts when it is whole. */
const shortestEncoded = 6;
/** Shorter secrets would be found in every other word. */
const shortestWord = 4;

/**
 * Finds secrets in a text, in whatever form somebody repeats them: split, cut, in other letters, escaped, as base64 or in hexadecimal.
 * Texts and secrets are compared by their letters and digits alone. Built for the few texts that tell of a failure: what it
 * costs grows with the length of text and secrets, not with their product.
 */
export class SecretMatcher {
  /** By length: pieces of secrets that give one away wherever they stand. */
  readonly #runs = new Map<number, Set<string>>();
  /** Folded. */
  readonly #words = new Set<string>();
  /** With hardly a letter or digit in them, as they are. */
  readonly #signs = new Set<string>();
  readonly #values: RegExp[] = [];
  readonly #edges = { leading: new Set<string>(), trailing: new Set<string>() };

  /** @param publicText a part of the secret that stands in it is not a secret */
  add(secret: string, publicText = ''): void {
    for (const piece of opaquePieces(secret)) this.#addPiece(piece, publicText);
  }

  #addPiece(secret: string, publicText: string): void {
    const whole = foldedText(secret);
    if (whole.length >= telling) {
      this.#addRuns(whole, { common: foldedText(publicText) });
      this.#edges.leading.add(/^[^\p{L}\p{N}]*/u.exec(secret)?.[0] ?? '');
      this.#edges.trailing.add(/[^\p{L}\p{N}]*$/u.exec(secret)?.[0] ?? '');
    } else if (whole.length >= shortestWord) {
      const isPublic = publicText.split(/[^\p{L}\p{N}_-]+/u).some((word) => foldedText(word) === whole);
      if (!isPublic) this.#words.add(whole);
    } else if (secret.length >= shortestWord) {
      this.#signs.add(secret);
    } else if (secret !== '') {
      this.#values.push(asValue(secret));
    }
    if (secret.length < shortestWord) return;
    // Text that is not Unicode could not be encoded.
    const bytes = Buffer.from(secret);
    for (const form of new Set([secret, encodeURIComponent(bytes.toString())])) this.#addEncoded(form);
  }

  #addEncoded(text: string): void {
    const bytes = Buffer.from(text);
    const base64 = [0, 1, 2].map((before) => ({ form: base64Within(bytes, before), stride: base64Stride }));
    for (const { form, stride } of [...base64, { form: bytes.toString('hex'), stride: hexStride }]) {
      const whole = foldedText(form);
      if (whole.length >= shortestEncoded) this.#addRuns(whole, { stride });
    }
  }

  #addRuns(whole: string, { stride = 1, common = '' } = {}): void {
    const length = Math.min(telling, whole.length);
    const runs = this.#runs.get(length) ?? new Set();
    this.#runs.set(length, runs);
    const last = whole.length - length;
    for (let at = 0; at < last + stride; at += stride) {
      const start = Math.min(at, last);
      const run = whole.slice(start, start + length);
      if (!common.includes(run)) runs.add(run);
    }
  }

  /** In their order, and apart from each other. */
  find(text: string): Span[] {
    const spans = viewsOf(text).flatMap((view) =>
      this.#signsIn(view).concat(this.#foldedIn(fold(view)).map((span) => this.#withEdges(text, span))),
    );
    const apart: { from: number; to: number }[] = [];
    for (const span of spans.toSorted((a, b) => a.from - b.from)) {
      const last = apart.at(-1);
      if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
      else apart.push({ ...span });
    }
    return apart;
  }

  #signsIn({ text, from, to }: TextView): Span[] {
    const places = [...this.#signs].flatMap((sign) =>
      placesOf(sign, text).map((start) => ({ start, end: start + sign.length })),
    );
    for (const value of this.#values) {
      for (const match of text.matchAll(value))
        places.push({ start: match.index, end: match.index + match[0].length });
    }
    return places.map(({ start, end }) => ({ from: from[start] ?? 0, to: to[end - 1] ?? 0 }));
  }

  #foldedIn({ text, from, to, begins, ends }: FoldedView): Span[] {
    const isSecret = new Uint8Array(text.length);
    for (const [length, runs] of this.#runs) {
      for (let at = 0; at + length <= text.length; at += 1) {
        if (runs.has(text.slice(at, at + length))) isSecret.fill(1, at, at + length);
      }
    }
    const spans: Span[] = [];
    for (const word of this.#words) {
      for (const start of placesOf(word, text)) {
        const last = start + word.length - 1;
        if (begins[start] && ends[last]) spans.push({ from: from[start] ?? 0, to: to[last] ?? 0 });
      }
    }
    for (let start = isSecret.indexOf(1); start >= 0;) {
      const end = isSecret.indexOf(0, start);
      spans.push({ from: from[start] ?? 0, to: to[(end < 0 ? text.length : end) - 1] ?? 0 });
      start = end < 0 ? -1 : isSecret.indexOf(1, end);
    }
    return spans;
  }

  /** The signs that a secret begins and ends with are a part of it. */
  #withEdges(text: string, { from, to }: Span): Span {
    const leading = [...this.#edges.leading].filter((edge) => text.endsWith(edge, from));
    const trailing = [...this.#edges.trailing].filter((edge) => text.startsWith(edge, to));
    return { from: from - longestOf(leading), to: to + longestOf(trailing) };
  }
}

function longestOf(edges: readonly string[]): number {
  return Math.max(0, ...edges.map((edge) => edge.length));
}

/** A key's file has much in it that is in every other one, too: its frame, or the names of its members. */
function opaquePieces(secret: string): readonly string[] {
  if (!/[\r\n]|^\s*\{/.test(secret)) return [secret];
  const content = secret.replaceAll(/-----[^-]+-----/g, ' ').trim();
  return content.match(/[\w+/=-]{20,}/g) ?? [content];
}

/** The part of the base64 form of a longer text that follows from these bytes alone, with so many others before them. */
function base64Within(bytes: Buffer, before: number): string {
  const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

/** A secret of one to three signs is one where a value is expected: in quotation marks, or behind `=` or `:`. */
function asValue(secret: string): RegExp {
  const literal = secret.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  const rest = '(?![\\p{L}\\p{N}_-])';
  return new RegExp(
    `(?<=["'\`])${literal}(?=["'\`])|(?<==\\s?)${literal}${rest}|(?<=:\\s?)${literal}(?=\\s*$|[,;)\\]}"'])`,
    'giu',
  );
}

function placesOf(part: string, text: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) places.push(at);
  return places;
}
