import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The nearest `.authcli.json`, upwards from `folder`. */
export function findProjectFile(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, '.authcli.json');
    if (existsSync(path)) return path;
    if (dirname(at) === at) return undefined;
  }
}
