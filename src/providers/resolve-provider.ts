import { AuthError } from '../errors.js';
import type { Configuration } from './decode-configuration.js';
import type { ProjectFile } from './project-file.js';
import type { Remedy } from '../remedy.js';
import { assertProviderName, type Provider } from './provider.js';

/** The person's own providers, and those that the project adds whose folder the command runs in. */
export interface KnownProviders extends Configuration {
  readonly project?: ProjectFile | undefined;
}

export interface ChosenProvider {
  readonly provider: Provider;
  /** The project's file, where it chose the provider or describes it. */
  readonly chosenBy?: string | undefined;
  /** How the person adds the provider that a project describes. */
  readonly makeOwn?: Remedy | undefined;
}

type BroughtProvider = Pick<ChosenProvider, 'provider' | 'makeOwn'>;

/** The named provider, else the project's default, else the configuration's, else the only one there is. */
export function resolveProvider(known: KnownProviders, named: string | undefined): ChosenProvider {
  if (named !== undefined) assertProviderName(named);
  const { project } = known;
  const names = providerNames(known);
  const byProject = named === undefined ? project?.defaultProvider : undefined;
  const name = named ?? byProject ?? known.defaultProvider ?? onlyOne(known);
  if (name === undefined) throw project?.fault ?? nothingChosen(names);
  const own = ownProvider(known, name);
  if (own !== undefined) return { provider: own, chosenBy: byProject && project?.path };
  const brought = projectProvider(known, name);
  if (brought !== undefined) return { ...brought, chosenBy: project?.path };
  throw project?.fault ?? unknownProvider(name, names, byProject && project?.path);
}

/** One that a project must not bring along leaves the others as clear as they were. */
function onlyOne(known: KnownProviders): string | undefined {
  const names = providerNames(known);
  const usable = names.filter((name) => !isRefused(known, name));
  const [name, ...others] = usable.length > 0 ? usable : names;
  return others.length === 0 ? name : undefined;
}

/** Those that can be named with `-p`, sorted. */
export function providerNames({ providers, project }: KnownProviders): string[] {
  return [...new Set([...Object.keys(providers), ...Object.keys(project?.providers ?? {})])].toSorted();
}

/** Every provider that can be used; one of the person's own wins over one of the project. */
export function usableProviders(known: KnownProviders): Provider[] {
  return providerNames(known).flatMap((name) => usableProvider(known, name) ?? []);
}

/** The one by that name, if it can be used. */
export function usableProvider(known: KnownProviders, name: string): Provider | undefined {
  if (isRefused(known, name)) return undefined;
  return ownProvider(known, name) ?? projectProvider(known, name)?.provider;
}

function isRefused({ providers, project }: KnownProviders, name: string): boolean {
  return !Object.hasOwn(providers, name) && project?.providers[name]?.kind === 'refused';
}

/** The mistakes in the project's file, for a command that can do without it. */
export function projectFaults({ providers, project }: KnownProviders): AuthError[] {
  if (project === undefined) return [];
  const refused = Object.entries(project.providers).flatMap(([name, found]) =>
    found.kind === 'refused' && !Object.hasOwn(providers, name) ? [found.fault] : [],
  );
  return [...(project.fault ? [project.fault] : []), ...refused];
}

function ownProvider({ providers }: KnownProviders, name: string): Provider | undefined {
  const entry = Object.hasOwn(providers, name) ? providers[name] : undefined;
  return entry && { name, ...entry };
}

/** @throws {AuthError} where the project says more of it than a project may */
function projectProvider({ project }: KnownProviders, name: string): BroughtProvider | undefined {
  const found = project && Object.hasOwn(project.providers, name) ? project.providers[name] : undefined;
  if (project === undefined || found === undefined) return undefined;
  if (found.kind === 'refused') throw found.fault;
  const { entry, digest, makeOwn } = found;
  return { provider: { name, ...entry, project: { file: project.path, digest } }, makeOwn };
}

/** A project's provider, where one of the person's own is needed. */
export function notOwn(name: string, file: string, remedy: Remedy | undefined): AuthError {
  return new AuthError('usage', `${name} is a provider of ${file}, and not one of your own`, { remedy });
}

export function unknownProvider(name: string, known: readonly string[], namedBy?: string): AuthError {
  const who = namedBy === undefined ? '' : `${namedBy} chooses "${name}", and `;
  return new AuthError('usage', `${who}no provider is named "${name}" (${listed(known)})`, {
    hint: `authcli provider add ${name} --issuer URL --client-id ID`,
  });
}

function nothingChosen(names: readonly string[]): AuthError {
  return names.length === 0
    ? new AuthError('usage', 'no provider is configured', {
        hint: 'authcli provider add NAME --issuer URL --client-id ID',
      })
    : new AuthError('usage', `which provider? (${listed(names)})`, {
        hint: 'add -p NAME, or set AUTHCLI_PROVIDER',
      });
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none is configured' : `known: ${names.toSorted().join(', ')}`;
}
