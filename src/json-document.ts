/** Deeper than any document of OAuth or OpenID Connect, and far from where a recursion of V8 ends. */
const mostLevels = 64;

/**
 * What makes a JSON text unfit as a document to rely on, in words that fit behind its name: readers differ on which of two
 * equal names counts (RFC 8259 4), and what copies it level by level runs out of stack. Undefined where nothing does, and
 * where it is no JSON.
 */
export function faultOfDocument(text: string): string | undefined {
  if (!isJson(text)) return undefined;
  const levels: Set<unknown>[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '{' || character === '[') {
      if (levels.push(new Set()) > mostLevels) return `has more than ${mostLevels} levels`;
    } else if (character === '}' || character === ']') {
      levels.pop();
    } else if (character === '"') {
      const end = endOfString(text, at);
      if (isFollowedByColon(text, end)) {
        const name: unknown = JSON.parse(text.slice(at, end));
        if (name === '__proto__') return 'has a member named __proto__';
        if (levels.at(-1)?.has(name)) return `has ${String(name)} twice`;
        levels.at(-1)?.add(name);
      }
      at = end - 1;
    }
  }
  return undefined;
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
