import { dirname } from 'node:path';

import { assertChangeable, editConfiguration } from '../providers/edit-configuration.js';
import { withLock } from '../store/lock.js';
import { clientSurroundings, configurationFile, type Context } from './command.js';

/** One change at a time, whoever else is changing it. */
export async function changeConfiguration(
  context: Context,
  path: readonly string[],
  value: unknown,
): Promise<void> {
  const file = configurationFile(context);
  assertChangeable(file);
  const surroundings = { ...clientSurroundings(context), folder: dirname(file.path) };
  await withLock(`${file.path}.lock`, surroundings, () => editConfiguration(file, path, value));
}
