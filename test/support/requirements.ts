import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { env } from 'node:process';

/**
 * Whether the tests that need `name` run here: `describe.skipIf(!requirement('chromium', isOnPath('chromium')))`.
 * With AUTHCLI_TEST_REQUIRE_ALL=1, as in CI, what is missing fails the file: a skipped test proves nothing.
 */
export function requirement(name: string, installed: boolean): boolean {
  if (!installed && env['AUTHCLI_TEST_REQUIRE_ALL'] === '1') {
    throw new Error(`${name} is not installed, and AUTHCLI_TEST_REQUIRE_ALL=1 allows no skipped tests`);
  }
  return installed;
}

export function isOnPath(command: string): boolean {
  return (env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
