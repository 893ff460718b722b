import { AuthError } from '../errors.js';
import type { ProviderEntry } from '../providers/provider.js';
import { chooseRedirect, redirectUriFault } from '../providers/redirect.js';
import type { OptionTable, OptionValues } from './options.js';

/** For one sign-in, or for all at a provider. */
export const redirectOptions = {
  port: {
    value: 'N',
    list: true,
    parse: ports,
    summary: 'listen on the first free one of these ports, such as 8910,8911 (default: one from the system)',
  },
  redirectUri: {
    value: 'URI',
    parse: redirectUri,
    summary: 'where the answer comes in: http on this machine, or any other, from which you paste it',
  },
} as const satisfies OptionTable;

/** The provider with what the options say of the redirect URIs that are registered there. */
export function withRedirect<T extends ProviderEntry>(
  entry: T,
  { port, redirectUri: uri }: OptionValues<typeof redirectOptions>,
): T {
  if (port === undefined && uri === undefined) return entry;
  const listed = port?.flat();
  if (listed?.includes(0)) {
    throw new AuthError('usage', '--port 0 is no port that could be registered', {
      hint: 'leave out --port: the system chooses one at each sign-in',
    });
  }
  chooseRedirect(entry.redirect, { uri, ports: listed });
  const redirect = { ...(uri === undefined ? entry.redirect : { uri }), ...(listed && { ports: listed }) };
  return { ...entry, redirect };
}

function ports(text: string): readonly number[] {
  return text.split(',').map((one) => {
    const number = Number(one);
    if (!/^\d{1,5}$/.test(one) || number > 65_535) throw new Error('a port, 0 to 65535');
    return number;
  });
}

function redirectUri(text: string): string {
  const fault = redirectUriFault(text);
  if (fault === undefined) return text;
  throw new Error(`a redirect URI such as http://127.0.0.1:8910/callback, but it ${fault}`);
}
