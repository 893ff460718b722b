import { isUtf8 } from 'node:buffer';

import { open, invalid, type Finding } from './verdict.js';

export type Fields = ReadonlyMap<string, unknown>;

export interface ReadObject {
  readonly findings: readonly Finding[];
  /** Empty where the text is no object. Of a member that occurs twice the last one. */
  readonly fields: Fields;
  /** Where members occur twice; what that means is for each kind of document to say. */
  readonly repeats: { readonly atTop: boolean; readonly inside: boolean };
}

/** RFC 8259. */
export function readJsonObject(bytes: Buffer): ReadObject {
  const findings: Finding[] = [];
  if (!isUtf8(bytes)) findings.push(invalid('RFC 8259 8.1: JSON is encoded in UTF-8'));
  let text = bytes.toString();
  if (/(?:\[|\{"a":){60}/.test(text)) findings.push(open('RFC 8259 9: a parser may limit the depth'));
  if (text.startsWith('\uFEFF')) {
    findings.push(open('RFC 8259 8.1: a byte order mark may be ignored'));
    text = text.slice(1);
  }
  const value = parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    findings.push(invalid('RFC 8259: no JSON object'));
    return { findings, fields: new Map(), repeats: { atTop: false, inside: false } };
  }
  const names = namesByLevel(text);
  if (names.some(({ name }) => name === '__proto__')) findings.push(open('a name that readers stumble over'));
  const repeated = names.filter(({ isRepeated }) => isRepeated);
  const repeats = {
    atTop: repeated.some(({ level }) => level === 1),
    inside: repeated.some(({ level }) => level > 1),
  };
  return { findings, fields: new Map(Object.entries(value)), repeats };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The text is JSON: what is neither a string nor a bracket does not matter. */
function namesByLevel(text: string): { name: unknown; level: number; isRepeated: boolean }[] {
  const found: ReturnType<typeof namesByLevel> = [];
  const levels: Set<unknown>[] = [];
  for (const [token, colon] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[[\]{}]/g)) {
    if (token === '{' || token === '[') levels.push(new Set());
    else if (token === '}' || token === ']') levels.pop();
    else if (colon !== undefined) {
      const name: unknown = JSON.parse(token.slice(0, -colon.length));
      found.push({ name, level: levels.length, isRepeated: levels.at(-1)?.has(name) ?? false });
      levels.at(-1)?.add(name);
    }
  }
  return found;
}
