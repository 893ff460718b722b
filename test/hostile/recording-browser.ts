import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Machine } from '../support/run.js';

/** A program for `--browser` that only notes the URLs with which it was started. */
export function recordingBrowser({ folder }: Machine): {
  readonly path: string;
  readonly urls: () => string[];
} {
  const path = join(folder, 'browser.sh');
  const log = `${path}.log`;
  writeFileSync(path, '#!/bin/sh\nprintf "%s\\n" "$@" >>"$0.log"\n');
  chmodSync(path, 0o755);
  writeFileSync(log, '');
  return { path, urls: () => readFileSync(log, 'utf8').split('\n').slice(0, -1) };
}
