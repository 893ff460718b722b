import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { text } from 'node:stream/consumers';

import { expect, test } from 'vitest';

import { login, newcomer } from './support/newcomer.js';

const library = new URL('../dist/library/index.js', import.meta.url).href;

test('a program of somebody else gets tokens from the command’s sessions, refreshed by the same helper', async () => {
  const { acme, machine } = await newcomer();
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  const program = `
    import { AuthError, createAuthClient } from ${JSON.stringify(library)};
    const client = createAuthClient({ stateFolder: ${JSON.stringify(join(machine.folder, 'state'))} });
    const provider = { name: 'acme', issuer: ${JSON.stringify(acme.issuer)}, clientId: 'cli' };
    const request = { kind: 'access', minTtlMs: 60_000, forceRefresh: false };
    const first = await client.acquireTokenSilent(provider, request);
    const second = await client.acquireTokenSilent(provider, { ...request, forceRefresh: true });
    const failure = await client.acquireTokenSilent({ ...provider, name: 'other' }, request).catch((error) => error);
    console.log(JSON.stringify([first.account.email, first.token === second.token, failure instanceof AuthError, failure.code]));
  `;
  const child = spawn(execPath, ['--input-type=module', '-e', program], { env: machine.env });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect({ stdout, stderr }).toEqual({
    stdout: '["jane@acme.test",false,true,"login_required"]\n',
    stderr: '',
  });
  expect(acme.requestsTo('/token')).toHaveLength(2);
});
