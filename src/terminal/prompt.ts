import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

import type { World } from '../world.js';

/** Asks on the terminal without showing what is typed; undefined when the input ends. */
export function askSecret(question: string, world: World): Promise<string | undefined> {
  world.stderr.write(question);
  const lines = createInterface({ input: world.stdin, output: silent(), terminal: true });
  return new Promise((resolve) => {
    lines.once('line', (line) => {
      resolve(line);
      lines.close();
    });
    lines.once('close', () => {
      world.stderr.write('\n');
      resolve(undefined);
    });
    // In this mode the terminal hands Ctrl-C over as a key.
    lines.once('SIGINT', () => {
      lines.close();
      world.interrupt();
    });
  });
}

function silent(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
