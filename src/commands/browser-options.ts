import { wholeCommand } from '../named-program.js';
import type { World } from '../world.js';
import { namedCommand } from './named-options.js';
import type { OptionTable, OptionValues } from './options.js';

export const browserOptions = {
  browser: {
    value: 'CMD',
    parse: namedCommand,
    summary: "a browser's name, a program, or none (default: the system's browser)",
  },
  noBrowser: { twin: true, unless: ['browser'], summary: 'only print the address' },
} as const satisfies OptionTable;

/** Undefined means the system's browser. A relative path counts only where the person has just typed it. */
export function chosenBrowser(
  { browser, noBrowser }: OptionValues<typeof browserOptions>,
  world: World,
): string | undefined {
  if (noBrowser) return 'none';
  if (browser === undefined) return world.env['BROWSER'] || undefined;
  const { text, origin } = browser;
  return origin === 'typed' ? wholeCommand(text, world.workingFolder(), world) : text;
}
