import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, extname, isAbsolute, join, resolve, sep } from 'node:path';

export interface SearchContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
}

/**
 * The PATH without its empty and relative entries: those run whatever a stranger left in the current folder.
 * Undefined where there is no PATH.
 */
export function absoluteSearchPath(env: SearchContext['env']): string | undefined {
  // Windows spells it `Path`, and a copy of its environment has lost the blindness to case.
  const name = Object.keys(env).find((key) => key.toUpperCase() === 'PATH');
  return name === undefined
    ? undefined
    : env[name]
        ?.split(delimiter)
        .filter((folder) => isAbsolute(folder))
        .join(delimiter);
}

/** The executable file that `program` means: a path when it has a separator, else a name on the PATH. */
export function findProgram(program: string, context: SearchContext): string | undefined {
  if (program === '') return undefined;
  const isPath = program.includes('/') || program.includes(sep);
  const folders = isPath
    ? [context.cwd]
    : (absoluteSearchPath(context.env) ?? '').split(delimiter).filter(Boolean);
  const candidates = folders.flatMap((folder) =>
    isPath ? fileNames(resolve(folder, program), context) : fileNames(join(folder, program), context),
  );
  return candidates.find(isExecutableFile);
}

function fileNames(path: string, { platform }: SearchContext): readonly string[] {
  return platform === 'win32' && extname(path) === '' ? [`${path}.exe`, `${path}.com`] : [path];
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
