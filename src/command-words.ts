/**
 * Splits as a POSIX shell does at spaces, quotes and backslashes (XCU 2.2), and does nothing else that a shell would:
 * `;`, `$(…)`, `~` and `*` stay what they are. Undefined when a quote is not closed.
 * @param escapes whether a backslash escapes, or separates the folders of a Windows path
 */
export function splitWords(command: string, escapes: boolean): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < command.length; index += 1) {
    const character = command.charAt(index);
    const next = command.charAt(index + 1);
    const escapesNext = quote === '"' ? /["$`\\]/u.test(next) : quote === '' && next !== '';
    if (escapes && character === '\\' && escapesNext) {
      word = (word ?? '') + next;
      index += 1;
    } else if (character === quote) {
      quote = '';
    } else if (quote !== '') {
      word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      // `""` is a word too.
      word ??= '';
    } else if (!/\s/u.test(character)) {
      word = (word ?? '') + character;
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== '') return undefined;
  return word === undefined ? words : [...words, word];
}

/** As one word for `splitWords`, whether or not a backslash escapes there. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
