import { env, execPath } from 'node:process';
import { writeSync } from 'node:fs';

import { nativeKeychain } from '../../src/store/native-keychain.js';

/** A process that reads one secret and has nothing else to stay for. */
void nativeKeychain(execPath, env)
  .read('ann', { timeoutMs: 5_000, mayPrompt: false })
  .then((read) => writeSync(1, JSON.stringify(read)));
