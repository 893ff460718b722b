import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

import type { World } from '../world.js';

/**
 * Asks on the terminal without showing what is typed; undefined when the input ends.
 * @throws the reason of `signal`, with the terminal as it was before
 */
export async function askSecret(
  question: string,
  world: World,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const lines = createInterface({ input: world.stdin, output: silent(), terminal: true, signal });
  // In this mode the terminal hands Ctrl-C over as a key.
  lines.on('SIGINT', world.interrupt);
  // Only now: what is typed before the mode is set would be seen.
  world.stderr.write(question);
  return new Promise((resolve, reject) => {
    lines.once('line', (line) => {
      resolve(line);
      lines.close();
    });
    lines.once('close', () => {
      world.stderr.write('\n');
      if (signal.aborted) reject(signal.reason);
      else resolve(undefined);
    });
  });
}

function silent(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
