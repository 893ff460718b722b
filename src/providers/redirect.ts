import { AuthError } from '../errors.js';
import { isLoopback } from '../loopback.js';
import type { ProviderEntry } from './entry-schema.js';

/** Where the authorization response comes in. */
export type Redirect =
  | {
      readonly kind: 'loopback';
      readonly host: string;
      /** Of which the first free one is taken; any when absent. */
      readonly ports?: readonly number[] | undefined;
      /** With `/*` at its end: a new one each time. */
      readonly path: string;
    }
  /** Where nothing of ours listens: the person brings the response. */
  | { readonly kind: 'elsewhere'; readonly uri: string };

/** What one sign-in wants, over what the provider's entry says. */
export interface RedirectChoice {
  readonly uri?: string | undefined;
  readonly host?: string | undefined;
  readonly ports?: readonly number[] | undefined;
}

type RedirectEntry = NonNullable<ProviderEntry['redirect']>;

export function chooseRedirect(entry: RedirectEntry = {}, choice: RedirectChoice = {}): Redirect {
  const known =
    choice.uri !== undefined
      ? redirectOf(choice.uri)
      : entry.uri !== undefined
        ? redirectOf(entry.uri, entry.ports)
        : loopback(entry);
  if (known.kind === 'elsewhere') {
    if (choice.host === undefined && choice.ports === undefined) return known;
    throw new AuthError('usage', `nobody can listen at the redirect URI ${known.uri}`, {
      hint: `leave out ${given(choice)}: the response is pasted into the terminal`,
    });
  }
  const isContradicted =
    choice.uri !== undefined &&
    ((choice.host !== undefined && choice.host !== known.host) ||
      (choice.ports !== undefined && known.ports !== undefined));
  if (isContradicted) {
    throw new AuthError('usage', '--redirect-uri names the host and the port already', {
      hint: `leave out ${given(choice)}`,
    });
  }
  const host = choice.host ?? known.host;
  // A program that uses the library may name any: others would reach the listener, and the code would cross their network.
  if (!isLoopback(host) && host !== '::1') {
    throw new AuthError('usage', `the redirect URI is not of this machine: its host is ${host}`, {
      remedy: { kind: 'advice', text: 'listen on 127.0.0.1, ::1 or localhost' },
    });
  }
  return { ...known, host, ports: choice.ports ?? known.ports };
}

/** Not every command that has --port has --listen. */
function given({ host, ports }: RedirectChoice): string {
  return [ports && '--port', host && '--listen'].filter(Boolean).join(' and ');
}

/** As it is registered: without a port where the provider accepts any. */
export function registeredUris(redirect: Redirect): string[] {
  if (redirect.kind === 'elsewhere') return [redirect.uri];
  const { host, ports, path } = redirect;
  if (acceptsAnyPort(redirect)) return [`http://${host}${path}`];
  return (ports ?? []).map((port) => `http://${host}:${port}${path}`);
}

/** Of those, the one that a sign-in at `redirectUri` needs. */
export function registeredUri(redirect: Redirect, redirectUri: string): string {
  const uris = registeredUris(redirect);
  return uris.find((uri) => new URL(uri).port === new URL(redirectUri).port) ?? uris[0] ?? redirectUri;
}

/** What is wrong with a redirect URI, in words that fit behind its name; undefined when nothing is. */
export function redirectUriFault(uri: string): string | undefined {
  if (!URL.canParse(uri)) return 'is no URI';
  const url = new URL(uri);
  if (uri.includes('?') || uri.includes('#')) return 'must have neither query nor fragment';
  if (url.username || url.password) return 'must not carry user information';
  // The token request repeats what the authorization request said, and both are made from the parsed one.
  if (url.href !== uri) return `is not in its canonical form, ${url.href}`;
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'is plain http, which is accepted on this machine only';
  if (['file:', 'ftp:', 'ws:', 'wss:', 'javascript:', 'data:', 'blob:', 'about:'].includes(url.protocol))
    return 'is neither http on this machine, nor https, nor of a private scheme';
  return undefined;
}

function acceptsAnyPort({ ports }: Extract<Redirect, { kind: 'loopback' }>): boolean {
  return ports === undefined || ports.includes(0);
}

function loopback({ host = '127.0.0.1', ports, path = '/callback' }: RedirectEntry): Redirect {
  return { kind: 'loopback', host, ports, path };
}

function redirectOf(uri: string, ports?: readonly number[]): Redirect {
  const { protocol, hostname: host, port, pathname: path } = new URL(uri);
  if (protocol !== 'http:') return { kind: 'elsewhere', uri };
  return { kind: 'loopback', host, ports: ports ?? (port === '' ? undefined : [Number(port)]), path };
}
