import { renamePatiently } from '../atomic-file.js';
import { storeTrouble } from './own-file.js';

/** Never deletes: what cannot be read today may be readable tomorrow. Returns where it lies now. */
export function setAside(path: string): string {
  const aside = `${path}.damaged-${Date.now().toString(36)}`;
  try {
    renamePatiently(path, aside);
  } catch (error) {
    throw storeTrouble('write', path, error);
  }
  return aside;
}
