import { once } from 'node:events';

import { expect, test } from 'vitest';

import { Interrupted } from '../../src/errors.js';
import { systemWorld } from '../../src/world.js';

test('a Ctrl-C that a terminal hands over as a key aborts what is under way, and ends no process', async () => {
  const world = systemWorld();
  const interruption = world.interruption();
  const aborted = once(interruption, 'abort');
  world.interrupt();
  await aborted;
  expect(interruption.reason).toEqual(new Interrupted('SIGINT'));
});
