const longest = 500;

/**
 * One printable line: what a provider, a file or a person supplied must not move the cursor, set the clipboard, or turn the
 * reading direction of what stands around it.
 * @param redact sees the text when nothing hides in it any more, and before a cut could leave half a secret
 */
export function oneLine(text: string, redact: (text: string) => string = (same) => same): string {
  const clean = text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/[\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, '')
    .trim();
  const safe = redact(clean);
  if (safe.length <= longest) return safe;
  // The cut may go through a character of two units.
  return `${safe.slice(0, longest - 3).replace(/\p{Cs}$/u, '')}...`;
}

/** Redacted as it came, again when nothing hides in it any more, and cut only then: no half of a secret is left. */
export function redactedLine(text: string, redact: (text: string) => string): string {
  return oneLine(redact(text), redact);
}

/**
 * JSON of one line that any terminal can show: what could move the cursor, hide or turn the reading direction is written as
 * `\uXXXX`, which a reader of JSON takes for the same value.
 */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, at) => escaped(character.charCodeAt(at))).join(''),
  );
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

/** As one word of a command that a person may copy: what a provider chose must not become a command of its own. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
