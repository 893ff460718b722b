import { resolve } from 'node:path';

import { splitWords } from './command-words.js';
import { absoluteSearchPath, type SearchContext } from './named-program.js';

/**
 * The environment that a program of ours inherits: none of our own variables, some of which hold secrets, and a PATH without the current
 * folder. PWD and OLDPWD are left out, too: the program is started in another folder, and `cd -` would lead back. Prepared for each
 * program; the environment of this process stays as it is, because a library shares it with its host.
 * @param withheld the variables that hold a secret of a client
 */
export function childEnvironment(
  context: SearchContext,
  withheld: ReadonlySet<string> = new Set(),
): Record<string, string | undefined> {
  const searchPath = absoluteSearchPath(context);
  const entries = Object.entries(context.env).filter(
    ([name]) => !withheld.has(name) && !/^(?:AUTHCLI_|(?:PATH|PWD|OLDPWD)$)/iu.test(name),
  );
  return { ...Object.fromEntries(entries), ...(searchPath !== undefined && { PATH: searchPath }) };
}

/**
 * The same for another Node of ours, which runs in a folder of its own: files that the environment names relative to `folder`, where
 * this process stands, must neither be missed nor be looked for there.
 */
export function nodeEnvironment(
  context: SearchContext,
  folder: string,
  withheld?: ReadonlySet<string>,
): Record<string, string | undefined> {
  const env = childEnvironment(context, withheld);
  const { NODE_OPTIONS: options, NODE_EXTRA_CA_CERTS: authorities } = env;
  return {
    ...env,
    ...(options && { NODE_OPTIONS: withoutRelativePreloads(options) }),
    ...(authorities && { NODE_EXTRA_CA_CERTS: resolve(folder, authorities) }),
  };
}

const preload = /^(?:-r|--require|--import|--loader|--experimental-loader)(?:=|$)/;

/** `--require ./hook.js` and `--import hook` are looked up from the folder that the process stands in. */
function withoutRelativePreloads(options: string): string {
  const words = splitWords(options, true);
  if (words === undefined || !words.some((word) => preload.test(word))) return options;
  const kept: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!preload.test(word)) {
      kept.push(word);
      continue;
    }
    const [option = '', inOneWord] = word.split(/=(.*)/s);
    const module = inOneWord ?? words[(at += 1)] ?? '';
    if (/^(?:\/|[a-z]:[\\/]|file:|data:|node:)/i.test(module)) kept.push(option, module);
  }
  // Node knows double quotes only.
  return kept.map((word) => (/[\s"\\]/.test(word) ? JSON.stringify(word) : word)).join(' ');
}
