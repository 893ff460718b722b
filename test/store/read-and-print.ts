import { writeSync } from 'node:fs';
import { argv, env } from 'node:process';

import { secretService } from '../../src/store/secret-service.js';

/** A process that reads one secret and has nothing else to stay for. */
void secretService(env)
  .read('ann', { timeoutMs: Number(argv[2]), mayPrompt: false })
  .then((read) => writeSync(1, JSON.stringify(read)));
