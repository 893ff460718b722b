import { getNodeValue, parseTree, printParseErrorCode, visit, type ParseError } from 'jsonc-parser';

import { AuthError } from '../errors.js';

/** JSON with comments and trailing commas. What is wrong with it is told with its place, and never repeated. */
export function parseJsonc(text: string, path: string): unknown {
  try {
    const errors: ParseError[] = [];
    const root = parseTree(text, errors, { allowTrailingComma: true });
    const first = errors[0];
    if (first !== undefined) {
      const place = `${path}:${placeOf(first.offset, text)}`;
      throw malformed(`${place}: no valid JSON (${spelledOut(printParseErrorCode(first.error))})`);
    }
    const twin = findTwin(text);
    if (twin !== undefined) {
      throw malformed(`${path}:${placeOf(twin.offset, text)}: ${twin.path} stands there twice`);
    }
    // `parse` would set the prototype for a member named __proto__, and so hide it.
    return root && getNodeValue(root);
  } catch (error) {
    // The parser calls itself for each level.
    if (error instanceof RangeError) throw malformed(`${path}: nested too deeply`);
    throw error;
  }
}

function malformed(message: string): AuthError {
  return new AuthError('usage', message, {
    hint: 'mend it there; comments and trailing commas are allowed',
  });
}

/** Line and column. */
function placeOf(offset: number, text: string): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

/** Where the second one stands. */
function findTwin(text: string): { readonly offset: number; readonly path: string } | undefined {
  const objects: Set<string>[] = [];
  let twin: ReturnType<typeof findTwin>;
  visit(text, {
    onObjectBegin: () => void objects.push(new Set()),
    onObjectEnd: () => void objects.pop(),
    onObjectProperty(name, offset, _length, _line, _character, pathOf) {
      const names = objects.at(-1);
      if (names?.has(name)) twin ??= { offset, path: [...pathOf(), name].join('.') };
      names?.add(name);
    },
  });
  return twin;
}

/** `CloseBraceExpected` as a person would say it. */
function spelledOut(code: string): string {
  return code.replace(/(?<=.)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}
