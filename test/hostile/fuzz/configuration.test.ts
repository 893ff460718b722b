import { deepEqual, equal, ok } from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect, test } from 'vitest';

import { newMachine, type Outcome } from '../../support/run.js';
import { campaign, campaignTimeout } from './campaign.js';
import type { Chance } from './chance.js';
import { goodSettings, judgeConfiguration, type JudgedConfiguration } from './configuration.js';
import { raw } from './json-text.js';
import { mutatedJson, type SpecialValues } from './mutated-json.js';
import { assertContract, assertJudgement } from './outcome-rules.js';
import { verdictOf } from './verdict.js';

const secret = 'Canary-Secret-0123456789';
const good = {
  $schema: 'https://acme.test/authcli.json',
  defaultProvider: 'acme',
  store: 'file',
  providers: {
    acme: { issuer: 'https://acme.test', clientId: 'cli', scope: 'openid email' },
    other: { issuer: 'https://login.other.test/tenant', clientId: '0oa-1 x' },
  },
};

const special: SpecialValues = {
  defaultProvider: raw('other', 'nobody', 'Acme', '../acme', '', 'n'.repeat(65)),
  store: raw('keychain', 'plain', 'FILE'),
  providers: ['{}', '[]', '{"acme":null}', '{"":{}}', `{"acme":{"clientSecret":"${secret}"}}`],
  clientSecret: raw(secret),
  clientId: raw('c', 'cl\nient', 'klient-ü', secret),
  scope: raw('openid', 'a  b', ' a', 'a"b', 'a\\b', 'a\nb', 'a,b', `${'a '.repeat(6_000)}a`),
  issuer: raw(
    'https://acme.test/',
    'https://acme.test/a/b',
    'http://127.0.0.1:8080',
    'http://localhost',
    'http://[::1]:1',
    'http://acme.test',
    'https://ACME.test',
    'https://acme.test?a=b',
    'https://acme.test/?a=b',
    'https://acme.test/a#b',
    'https://acme.test#x',
    'https://acme.test?',
    `https://u:${secret}@acme.test`,
    'https://acme.test/a/../b',
    'https://acme.test.',
    'https://acme.test:0',
    'https://acme.test:443',
    'https://acme.test:8443',
    'https://äcme.test',
    'ftp://acme.test',
    'acme.test',
    'x',
    'https://',
    'https://acme.test\n',
    ' https://acme.test',
    'https:acme.test',
    'https:\\\\acme.test',
    'javascript:x',
    'http://127.0.0.1.acme.test',
    'http://0x7f.1',
    'http://2130706433',
    'https://acme.test/%',
    'https://acme.test/ü',
  ),
};

test('a configuration file', { timeout: campaignTimeout }, async () => {
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const paths = {
    own: join(machine.folder, 'config', 'config.json'),
    project: join(machine.folder, 'project', '.authcli.json'),
  };
  for (const path of Object.values(paths)) mkdirSync(dirname(path));
  const world = { workingFolder: () => dirname(paths.project) };
  const failures = await campaign('configuration', 200, async (chance, note) => {
    const place = chance.happens(0.3) ? 'project' : 'own';
    const { store, ...portable } = good;
    const document = {
      ...portable,
      ...(place === 'own' && { store }),
      providers: { ...good.providers, ...(chance.happens(0.3) && { rich: richEntry(place, chance) }) },
      ...(chance.happens(0.1) && { clientSecret: secret }),
    };
    const json = mutatedJson(document, special, chance);
    const file = chance.happens(0.3) ? Buffer.concat([json, Buffer.from('\n// ours')]) : json;
    for (const path of Object.values(paths)) rmSync(path, { force: true });
    writeFileSync(paths[place], file, { mode: 0o600 });
    note(paths[place], file);
    const judged = judgeConfiguration(file, place);
    const run = async (...argv: string[]): Promise<Outcome> => {
      const outcome = await machine.run(argv, world);
      note(argv.join(' '), outcome);
      assertContract(outcome);
      ok(!outcome.stderr.includes(secret), 'what was found stands on stderr');
      return outcome;
    };
    await (place === 'own' ? tryOwn(judged, run) : tryProject(judged, run));
    const { findings, entries } = judged;
    return place === 'own' ? findings : [...findings, ...[...entries.values()].flat()];
  });
  expect(failures).toBe('');
});

type Run = (...argv: string[]) => Promise<Outcome>;

async function tryOwn(judged: JudgedConfiguration, run: Run): Promise<void> {
  const { findings, providers } = judged;
  for (const argv of [['provider', 'list'], ['status'], ['token']]) {
    const success = argv.includes('token') ? exitCodeOfToken(judged) : 0;
    assertJudgement(await run(...argv), findings, { refusals: [2], success });
  }
  const listed = await run('provider', 'list', '--json');
  assertJudgement(listed, findings, { refusals: [2] });
  if (verdictOf(findings) === 'valid') {
    deepEqual(JSON.parse(listed.stdout), { providers: Object.fromEntries(providers) });
  }
}

/** Somebody who does not use what is wrong with it is not kept from anything. */
async function tryProject({ findings, entries, providers }: JudgedConfiguration, run: Run): Promise<void> {
  equal((await run('status')).exitCode, 0);
  const listed: { providers: Readonly<Record<string, unknown>> } = JSON.parse(
    (await run('provider', 'list', '--json')).stdout,
  );
  for (const [name, ofEntry] of entries) {
    const all = [...findings, ...ofEntry];
    const isListed = Object.hasOwn(listed.providers, name);
    const verdict = verdictOf(all);
    if (verdict !== 'open') equal(isListed, verdict === 'valid', `${name} is ${verdict}`);
    if (isListed) deepEqual(listed.providers[name], providers.get(name));
    if (/^[a-z]+$/.test(name)) {
      assertJudgement(await run('token', '-p', name), all, { refusals: [2], success: 4 });
    }
  }
}

/** A project has no say about most of it. */
function richEntry(place: 'own' | 'project', chance: Chance): object {
  const { host: _, ...redirect } = goodSettings.redirect;
  const settings = place === 'own' || chance.happens(0.3) ? goodSettings : { redirect };
  return { issuer: 'https://rich.test', clientId: 'rich', ...settings };
}

/** Nobody is signed in. */
function exitCodeOfToken({ providers, defaultProvider }: JudgedConfiguration): number {
  const names = [...providers.keys()];
  const chosen = defaultProvider ?? (names.length === 1 ? names[0] : undefined);
  return typeof chosen === 'string' && providers.has(chosen) ? 4 : 2;
}
