import type { World } from '../world.js';
import type { OptionTable, OptionValues } from './options.js';

export const browserOptions = {
  browser: { value: 'CMD', summary: "a browser's name, a program, or none (default: the system's browser)" },
  noBrowser: { twin: true, unless: ['browser'], summary: 'only print the address' },
} as const satisfies OptionTable;

/** Undefined means the system's browser. */
export function chosenBrowser(
  { browser, noBrowser }: OptionValues<typeof browserOptions>,
  { env }: World,
): string | undefined {
  return noBrowser ? 'none' : (browser ?? (env['BROWSER'] || undefined));
}
