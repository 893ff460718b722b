/** Deeper than any document of OAuth or OpenID Connect, and far from where a recursion of V8 ends. */
const mostLevels = 64;

/**
 * What makes a JSON text unfit as a document to rely on, in words that fit behind its name: readers differ on which of two
 * equal names counts (RFC 8259 4), and what copies it level by level runs out of stack. Undefined where nothing does, and
 * where it is no JSON.
 */
export function faultOfDocument(text: string): string | undefined {
  if (!isJson(text)) return undefined;
  for (const { level, name, isRepeated } of namesIn(text)) {
    if (level > mostLevels) return `has more than ${mostLevels} levels`;
    if (name === '__proto__') return 'has a member named __proto__';
    if (isRepeated) return `has ${name} twice`;
  }
  return undefined;
}

/** The names that stand twice in one object of a JSON text, at any of the levels that a document may have. */
export function repeatedNames(text: string): ReadonlySet<string | undefined> {
  return new Set([...namesIn(text)].filter(({ isRepeated }) => isRepeated).map(({ name }) => name));
}

interface NameInDocument {
  /** The depth of the object or list that begins here, or that has the member; counted from 1. */
  readonly level: number;
  /** The name of a member; undefined where an object or a list begins. */
  readonly name?: string;
  readonly isRepeated?: boolean;
}

/** Every object, every list and every member, in the order of the text. Below the deepest level no member is looked at. */
function* namesIn(json: string): Generator<NameInDocument> {
  const levels: Set<string>[] = [];
  let level = 0;
  for (let at = 0; at < json.length; at += 1) {
    const character = json.charAt(at);
    if (character === '{' || character === '[') {
      level += 1;
      if (level <= mostLevels) levels.push(new Set());
      yield { level };
    } else if (character === '}' || character === ']') {
      if (level <= mostLevels) levels.pop();
      level -= 1;
    } else if (character === '"') {
      const end = endOfString(json, at);
      const names = level <= mostLevels && isFollowedByColon(json, end) ? levels.at(-1) : undefined;
      if (names !== undefined) {
        const name = String(JSON.parse(json.slice(at, end)));
        yield { level, name, isRepeated: names.has(name) };
        names.add(name);
      }
      at = end - 1;
    }
  }
}

/** Into objects by name and into lists by number, the names joined by dots. */
export function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce((at, name) => {
    const isThere = typeof at === 'object' && at !== null && Object.hasOwn(at, name);
    return isThere ? Object.entries(at).find(([key]) => key === name)?.[1] : undefined;
  }, value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Behind the closing quote. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json.charAt(at) !== '"') at += json.charAt(at) === '\\' ? 2 : 1;
  return at + 1;
}

function isFollowedByColon(json: string, end: number): boolean {
  const colon = /\s*:/y;
  colon.lastIndex = end;
  return colon.test(json);
}
