import { win32 } from 'node:path';

import { AuthError } from '../errors.js';
import type { SearchContext } from '../named-program.js';

/**
 * How a batch file of Windows is started: by cmd.exe, which reads what it is given as a line of its own language. No quoting
 * holds for every character (CVE-2024-27980), so only words without a meaning there are let through. Undefined for other programs.
 */
export function asBatchFile(
  { path, words }: { readonly path: string; readonly words: readonly string[] },
  { env, platform }: SearchContext,
):
  | { readonly program: string; readonly words: readonly string[]; readonly windowsVerbatimArguments: true }
  | undefined {
  if (platform !== 'win32' || !/\.(?:cmd|bat)$/i.test(path)) return undefined;
  const line = [path, ...words];
  const special = line.find(
    (word) => !/^[\p{L}\p{N} _\-.,:;=@+#~(){}[\]\\/]*$/u.test(word) || word.endsWith('\\'),
  );
  if (special !== undefined) {
    throw new AuthError('usage', `a batch file cannot be given ${JSON.stringify(special)}`, {
      remedy: { kind: 'advice', text: 'name the program that it starts, or use plain words only' },
    });
  }
  // By its whole path: Windows looks for a bare name in the current folder first.
  const root = env['SystemRoot'] ?? env['SYSTEMROOT'] ?? 'C:\\Windows';
  return {
    program: win32.join(root, 'System32', 'cmd.exe'),
    words: ['/d', '/s', '/c', `"${line.map((word) => `"${word}"`).join(' ')}"`],
    windowsVerbatimArguments: true,
  };
}
