import { AuthError } from '../errors.js';
import { nearest } from '../nearest.js';
import { shellWord } from '../remote-text.js';
import { decodeEntirely, type ProviderEntry } from './entry-schema.js';
import type { Preset, Setting } from './presets.js';
import { issuerFault } from './provider.js';
import { chooseRedirect, registeredUris } from './redirect.js';

type Settings = Readonly<Record<string, string>>;
type Values = ReadonlyMap<string, string>;

/** The whole entry that a preset stands for: the configuration keeps this, not the preset. */
export function expandPreset(preset: Preset, given: Settings, clientId: string): ProviderEntry {
  const values = settingValues(preset, given);
  const entry = fillAll(preset.entry, new Map([...values, ['clientId', clientId]]));
  const { need, authentication } = preset.secret ?? {};
  const complete = {
    ...entry,
    clientId,
    preset: preset.id,
    ...(need === 'required' && { client: { ...subobject(entry['client']), authentication } }),
  };
  return decodeEntirely(complete, (place, expected) => {
    throw new AuthError('usage', `the preset ${preset.id} gives no entry: ${place} must be ${expected}`);
  });
}

/**
 * Whether a setting only says which issuer it is. One that stands elsewhere, too, or in the host of another address while the issuer
 * has it in its path, says where a part of the sign-in goes.
 */
export function isPartOfIssuer(name: string, { entry }: Preset): boolean {
  const placeholder = `{${name}}`;
  if (!entry.issuer.includes(placeholder)) return false;
  return (
    originOf(entry.issuer).includes(placeholder) ||
    !texts(entry).some((text) => originOf(text).includes(placeholder))
  );
}

/** Scheme and host, as far as a template tells. */
function originOf(address: string): string {
  return /^([a-z]+:\/\/)?[^/]*/.exec(address)?.[0] ?? '';
}

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}

/** What a person who has chosen no settings yet is shown. */
export function sampleSettings({ settings }: Preset): Settings {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, one]) => (isRequired(one) ? [[name, one.example ?? '']] : [])),
  );
}

export function addCommand(
  preset: Preset,
  name = 'NAME',
  clientId = 'ID',
  given: Settings = sampleSettings(preset),
): string {
  const settings = Object.entries(given).map(([key, value]) => assignment(key, value));
  return [
    'authcli provider add',
    name,
    '--preset',
    preset.id,
    ...settings,
    '--client-id',
    shellWord(clientId),
  ].join(' ');
}

/** How the client is registered, and the redirect URIs to enter there. */
export function registration(preset: Preset, given: Settings = sampleSettings(preset)): string[] {
  const redirectUri = redirectUris(expandPreset(preset, given, 'ID')).join(', ');
  const values = new Map([...settingValues(preset, given), ['redirectUri', redirectUri]]);
  return preset.register.map((line) => fillText(line, values) ?? line);
}

/** As they are registered: without a port where the provider accepts any. */
export function redirectUris({ redirect }: Pick<ProviderEntry, 'redirect'>): string[] {
  return registeredUris(chooseRedirect(redirect));
}

function settingValues(preset: Preset, given: Settings): Values {
  const { id, settings } = preset;
  const known = Object.keys(settings);
  const stranger = Object.keys(given).find((name) => !known.includes(name));
  if (stranger !== undefined) throw unknownSetting(stranger, preset);
  const missing = known.filter((name) => isRequired(settings[name]) && !Object.hasOwn(given, name));
  if (missing.length > 0) {
    throw new AuthError(
      'usage',
      `the preset ${id} needs ${missing.map((one) => `--set ${one}=…`).join(' ')}`,
      {
        hint: addCommand(preset),
      },
    );
  }
  return new Map(
    Object.entries(settings).flatMap(([name, setting]): [string, string][] => {
      const text = given[name] ?? setting.default;
      return text === undefined ? [] : [[name, settingValue(text, name, setting, preset)]];
    }),
  );
}

function isRequired(setting: Setting | undefined): boolean {
  return setting !== undefined && setting.default === undefined && setting.optional === undefined;
}

function settingValue(text: string, name: string, setting: Setting, preset: Preset): string {
  const { choices, kind, example = setting.default ?? '' } = setting;
  const chosen = choices !== undefined && Object.hasOwn(choices, text) ? choices[text] : undefined;
  if (chosen !== undefined) return chosen;
  if (choices !== undefined) {
    const meant = nearest(text, Object.keys(choices));
    throw new AuthError('usage', `--set ${name} must be one of ${Object.keys(choices).join(', ')}`, {
      hint: meant && `did you mean ${assignment(name, meant)}?`,
    });
  }
  const value = kind === 'url' ? asAddress(text) : text;
  const fault = faultOf(value, setting);
  if (fault === undefined) return value;
  const place = placesOf(name, preset.entry)[0] ?? 'the entry';
  throw new AuthError('usage', `--set ${name} does not fit into ${place}: it ${fault}`, {
    hint: `such as ${assignment(name, example)}`,
  });
}

function faultOf(value: string, { kind, pattern }: Setting): string | undefined {
  if (pattern !== undefined && !new RegExp(`^(?:${pattern})$`).test(value))
    return `is not of the form ${pattern}`;
  switch (kind) {
    case 'url':
    case 'issuer':
      return issuerFault(value);
    case 'text':
      return /^[\x21-\x7e]+$/.test(value)
        ? undefined
        : 'holds a space or a character that is not plain ASCII';
    case undefined:
      return /^\w[\w.~-]*$/.test(value) ? undefined : 'may hold letters, digits, . _ ~ and - only';
  }
}

/** People write hosts, and slashes at the end that would stand double in an address. */
function asAddress(text: string): string {
  return (/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`).replace(/\/$/, '');
}

function unknownSetting(name: string, preset: Preset): AuthError {
  const known = Object.keys(preset.settings);
  const meant = nearest(name, known);
  const list = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
  return new AuthError('usage', `the preset ${preset.id} has no setting "${name}" (${list})`, {
    hint: meant === undefined ? `authcli provider presets ${preset.id}` : `did you mean --set ${meant}=…?`,
  });
}

function assignment(name: string, value: string): string {
  return `--set ${shellWord(`${name}=${value}`)}`;
}

/** Where in the entry a setting is needed. */
function placesOf(name: string, value: unknown, path = ''): string[] {
  if (typeof value === 'string') return value.includes(`{${name}}`) ? [path] : [];
  return Object.entries(subobject(value)).flatMap(([key, one]) =>
    placesOf(name, one, path === '' ? key : `${path}.${key}`),
  );
}

function fillAll(group: Readonly<Record<string, unknown>>, values: Values): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(group).flatMap(([key, value]) => {
      const filled = fill(value, values);
      return filled === undefined ? [] : [[key, filled]];
    }),
  );
}

/** A group of which nothing is left is left out, too. */
function fill(value: unknown, values: Values): unknown {
  if (typeof value === 'string') return fillText(value, values);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const filled = fillAll(subobject(value), values);
  return Object.keys(filled).length === 0 ? undefined : filled;
}

/** Undefined where it needs a setting that is not given. */
function fillText(text: string, values: Values): string | undefined {
  const placeholder = /\{(\w+)\}/g;
  const names = [...text.matchAll(placeholder)].map(([, name = '']) => name);
  if (names.some((name) => !values.has(name))) return undefined;
  const isAddress = text.startsWith('https://');
  return text.replace(placeholder, (_, name: string) => {
    const value = values.get(name) ?? '';
    return isAddress && name === 'clientId' ? encodeURIComponent(value) : value;
  });
}

function subobject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
