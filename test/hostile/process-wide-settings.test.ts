import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { login, newcomer } from '../support/newcomer.js';
import { startProxy } from '../support/proxy.js';
import { agent } from '../support/run.js';

/** What a host program, a preload or an administrator may have set for the whole process; each use of it is noted. */
const settings = `
const { appendFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
// The stand-in for the browser is a process of Node, too.
if (/authcli\\.js$|refresh-helper\\.js$/.test(process.argv[1] ?? '')) {
  const used = (what) => { appendFileSync(LOG, what + '\\n'); throw new Error(what + ' was used'); };
  globalThis.fetch = () => used('fetch');
  globalThis[Symbol.for('undici.globalDispatcher.1')] = { dispatch: () => used('dispatcher'), close() {}, destroy() {} };
  for (const module of [http, https]) {
    class Agent extends module.Agent { addRequest() { used('agent'); } createConnection() { used('agent'); } }
    module.globalAgent = new Agent();
    http.Agent.prototype.addRequest = () => used('agent');
  }
  appendFileSync(LOG, 'in place\\n');
}
`;

describe('PRX-01: what is set for the whole process leads no request elsewhere', () => {
  test('a global fetch, a global dispatcher and global agents, in the command and in the helper of a refresh', async () => {
    const { acme, machine } = await newcomer();
    const [hook, log] = [join(machine.folder, 'settings.cjs'), join(machine.folder, 'settings.log')];
    writeFileSync(hook, settings.replaceAll('LOG', JSON.stringify(log)));
    const env = { NODE_OPTIONS: `--require ${hook}` };
    const set = { ...machine, spawn: (argv: readonly string[]) => machine.spawn(argv, env) };
    expect(await login(set)).toMatchObject({ exitCode: 0 });
    expect(await set.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await set.spawn(['whoami', '--json'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await set.spawn(['logout', '-q'])).toMatchObject({ exitCode: 0, stderr: '' });
    // The four commands and the helper.
    expect(readFileSync(log, 'utf8')).toBe('in place\n'.repeat(5));
    expect(acme.requestsTo('/token')).toHaveLength(2);
  });

  // Node 24 and later read it; an older one has no such setting, and stays the same.
  test('NODE_USE_ENV_PROXY sends nothing of an issuer on this machine to a proxy', async () => {
    const { acme, machine } = await newcomer();
    const proxy = await startProxy();
    const address = `http://127.0.0.1:${proxy.port}`;
    const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: address, http_proxy: address, NO_PROXY: '' };
    const set = { ...machine, spawn: (argv: readonly string[]) => machine.spawn(argv, env) };
    // The browser of the test would ask the proxy.
    const outcome = await login(set, '--browser', `/usr/bin/env -u NODE_USE_ENV_PROXY ${agent}`);
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(await set.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await set.spawn(['logout', '-q'])).toMatchObject({ exitCode: 0, stderr: '' });
    // Node opens a tunnel for plain http, too; others ask the proxy for the whole address.
    expect([...proxy.authorities, ...proxy.requests]).toEqual([]);
    expect(acme.requestsTo('/token')).toHaveLength(2);
  });
});
