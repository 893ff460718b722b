import { readFileSync } from 'node:fs';

import { toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { expect, test } from 'vitest';

import { configurationSchema, entrySchema } from '../src/providers/entry-schema.js';
import { projectFileSchema } from '../src/providers/project-schema.js';
import { providersPage } from './support/providers-page.js';

/** Made from the code: `npx vitest run test/published-documents.test.ts -u` writes them anew. */
test('docs/config.schema.json describes what the program reads', async () => {
  const schema = toJsonSchema(configurationSchema, { errorMode: 'ignore', target: 'draft-2020-12' });
  const document = { title: 'Configuration of authcli', ...schema };
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('../docs/config.schema.json');
});

test('docs/project.schema.json describes what a project may say', async () => {
  const schema = toJsonSchema(projectFileSchema, { errorMode: 'ignore', target: 'draft-2020-12' });
  const document = { title: 'A project file of authcli (.authcli.json)', ...schema };
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('../docs/project.schema.json');
});

test('docs/providers.md says what the catalogue says', async () => {
  await expect(providersPage()).toMatchFileSnapshot('../docs/providers.md');
});

test('a configuration of the README fits it', () => {
  const configuration = {
    $schema: './config.schema.json',
    defaultProvider: 'work',
    store: 'file',
    providers: { work: { issuer: 'https://id.acme.test', clientId: 'cli', scope: 'openid' } },
  };
  expect(v.is(configurationSchema, configuration)).toBe(true);
  expect(v.is(configurationSchema, { ...configuration, provider: {} })).toBe(false);
});

test('docs/configuration.md tells of every field that an entry may have', () => {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');
  const { properties = {} } = toJsonSchema(entrySchema, { errorMode: 'ignore' });
  const fields = Object.entries(properties).flatMap(([name, field]) => {
    const inner = typeof field === 'object' ? Object.keys(field.properties ?? {}) : [];
    return inner.length > 0 ? [`**${name}**`].concat(inner.map((one) => `\`.${one}\``)) : [`\`${name}\``];
  });
  expect(fields.filter((field) => !page.includes(field))).toEqual([]);
});
