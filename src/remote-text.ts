const longest = 500;

/**
 * One printable line: what a provider, a file or a person supplied must not move the cursor, set the clipboard, or turn the
 * reading direction of what stands around it.
 */
export function oneLine(text: string): string {
  const clean = text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/[\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, '')
    .trim();
  return clean.length > longest ? `${clean.slice(0, longest - 3)}...` : clean;
}

/** Redacted before it is cut, lest half a secret be left, and again after what was hidden in one has been taken out. */
export function redactedLine(text: string, redact: (text: string) => string): string {
  return redact(oneLine(redact(text)));
}

/** As one word of a command that a person may copy: what a provider chose must not become a command of its own. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
