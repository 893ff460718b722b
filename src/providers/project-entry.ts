import { AuthError } from '../errors.js';
import { isObject } from '../json-document.js';
import type { Remedy } from '../remedy.js';
import { projectSchemas, type ProjectEntryText } from './project-schema.js';
import { isClientId, isScope, issuerFault, type ProviderEntry } from './provider.js';
import { decodeWith } from './schema-decoding.js';

interface DecodedEntry {
  /** As it stands in the file. */
  readonly written: ProjectEntryText;
  readonly entry: ProviderEntry;
}

/** @throws {AuthError} `usage`, with the command that makes the entry the person's own where there is one */
export async function decodeProjectEntry(name: string, value: unknown, path: string): Promise<DecodedEntry> {
  const complain = (place: string, expected: string): never => {
    const where = place === '' ? `providers.${name}` : `providers.${name}.${place}`;
    throw mistake(path, where, expected);
  };
  if (isObject(value)) assertNothingMore(name, value, path);
  if (isObject(value) && 'preset' in value) {
    const written = decodeWith(projectSchemas.fromPreset, value, complain);
    return { written, entry: await expand(name, written, path) };
  }
  const written = decodeWith(projectSchemas.named, value, complain);
  const { issuer, clientId, scope, redirect } = written;
  return { written, entry: { issuer, clientId, ...(scope && { scope }), ...(redirect && { redirect }) } };
}

/** What is wrong in a project's file, and where. @param expected goes on after "must be" */
export function mistake(path: string, place: string, expected: string): AuthError {
  return new AuthError('usage', `${path}: ${place} must be ${expected}`, {
    remedy: { kind: 'edit_file', path, change: 'correct it' },
  });
}

/** The person adds the same provider then, with all that a project may say of it. */
export function remedyToAdd(name: string, written: ProjectEntryText): Remedy {
  const { clientId, scope, redirect } = written;
  const provider =
    'preset' in written ? { preset: written.preset, settings: written.settings } : { issuer: written.issuer };
  const redirectUri = redirect?.path && `http://127.0.0.1${redirect.path}`;
  return { kind: 'add_provider', name, ...provider, clientId, scope, ports: redirect?.ports, redirectUri };
}

const memberNames: ReadonlySet<string> = new Set([
  ...Object.keys(projectSchemas.named.entries),
  ...Object.keys(projectSchemas.fromPreset.entries),
]);
const redirectNames: ReadonlySet<string> = new Set(['ports', 'path']);

/** Where requests go, what they carry, where a secret is, what is run: all of it is for the person to say. */
function assertNothingMore(name: string, entry: Readonly<Record<string, unknown>>, path: string): void {
  const { redirect, preset } = entry;
  const inRedirect = isObject(redirect) ? Object.keys(redirect).filter((one) => !redirectNames.has(one)) : [];
  const more = [
    ...Object.keys(entry).filter((member) => !memberNames.has(member)),
    // An authcli of November 2026 wrote it beside the expanded entry.
    ...(preset !== undefined && 'issuer' in entry ? ['preset'] : []),
    ...inRedirect.map((member) => `redirect.${member}`),
  ];
  if (more.length === 0) return;
  throw new AuthError(
    'usage',
    `${path}: providers.${name} says more than a project may: ${more.join(', ')}`,
    { remedy: makeOwn(name, entry) },
  );
}

/** The command that makes it the person's own, as far as it is fit to be repeated. */
function makeOwn(name: string, entry: Readonly<Record<string, unknown>>): Remedy {
  const { issuer, clientId, scope } = entry;
  const isWhole =
    typeof issuer === 'string' &&
    issuerFault(issuer) === undefined &&
    typeof clientId === 'string' &&
    isClientId(clientId);
  if (!isWhole) return { kind: 'advice', text: 'remove it from that file, or add a provider of your own' };
  const isPlainScope = typeof scope === 'string' && isScope(scope);
  return { kind: 'add_provider', name, issuer, clientId, ...(isPlainScope && { scope }) };
}

async function expand(
  name: string,
  written: Extract<ProjectEntryText, { preset: string }>,
  path: string,
): Promise<ProviderEntry> {
  const { preset: id, settings = {}, clientId, scope, redirect } = written;
  const { readPreset } = await import('./presets.js');
  const { expandPreset, isPartOfIssuer } = await import('./expand-preset.js');
  const preset = readPreset(id);
  const foreign = Object.keys(settings).find((setting) => !isPartOfIssuer(setting, preset));
  if (foreign !== undefined) {
    const allowed = Object.entries(settings).filter(([setting]) => isPartOfIssuer(setting, preset));
    throw new AuthError(
      'usage',
      `${path}: providers.${name}.settings.${foreign} is not for a project to say: it is not part of the issuer of ${id}`,
      { remedy: { kind: 'add_provider', name, clientId, preset: id, settings: Object.fromEntries(allowed) } },
    );
  }
  const entry = expandPreset(preset, settings, clientId);
  return {
    ...entry,
    ...(scope && { scope }),
    ...(redirect && { redirect: { ...entry.redirect, ...redirect } }),
  };
}
