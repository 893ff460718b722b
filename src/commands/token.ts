import { currentToken, type AcquiredToken } from '../client/acquired-token.js';
import { AuthClient } from '../client/auth-client.js';
import { AuthError } from '../errors.js';
import { publicAccount } from '../store/account.js';
import { printableJson } from '../remote-text.js';
import { commandMs, signInMs } from '../time-budgets.js';
import { chosenProvider, clientSurroundings, type Command } from './command.js';
import { duration, readOptions, type OptionTable } from './options.js';
import { resourceIndicator, scopeOf } from './values.js';

const tokenOptions = {
  type: { value: 'TYPE', choices: ['access', 'id'], summary: 'which token: access (default) or id' },
  scope: { value: 'SCOPE', list: true, summary: 'a token for these scopes instead of those of the sign-in' },
  resource: { value: 'URI', parse: resourceIndicator, summary: 'a token for this resource (RFC 8707)' },
  audience: { value: 'NAME', summary: 'a token for this audience, where the provider wants that' },
  minTtl: {
    value: 'DUR',
    parse: duration,
    summary: 'how long the token must still be good for (default 60s)',
  },
  forceRefresh: { summary: 'refresh even a token that is still good' },
  output: {
    value: 'FORM',
    unless: ['json'],
    choices: ['raw', 'header', 'json', 'env'],
    summary: 'raw (default), header, json or env',
  },
  login: { summary: 'sign in through the browser when there is no other way' },
} as const satisfies OptionTable;

const formats: Readonly<Record<'raw' | 'header' | 'json' | 'env', (token: AcquiredToken) => string>> = {
  raw: ({ token }) => token,
  header: ({ token, tokenType }) => `Authorization: ${tokenType} ${token}`,
  json: (acquired) =>
    printableJson({
      access_token: acquired.token,
      token_type: acquired.tokenType,
      expires_at: acquired.expiresAt,
      scope: acquired.scope,
      issuer: acquired.issuer,
      provider: acquired.provider,
      account: publicAccount(acquired.account),
    }),
  env: ({ token }) => `export AUTHCLI_ACCESS_TOKEN='${token.replaceAll("'", `'\\''`)}'`,
};

export const token: Command<typeof tokenOptions> = {
  name: 'token',
  summary: 'print a valid access token, refreshing it when needed',
  options: tokenOptions,
  longestMs: ({ login }) => (login ? signInMs : commandMs),

  async run(options, context) {
    const { world, globals } = context;
    const chosen = await chosenProvider(context);
    const client = new AuthClient(clientSurroundings(context));
    const request = {
      account: globals.account,
      store: globals.store,
      kind: options.type ?? 'access',
      minTtlMs: options.minTtl ?? 60_000,
      forceRefresh: options.forceRefresh ?? false,
      scope: options.scope && scopeOf(options.scope),
      resource: options.resource,
      audience: options.audience,
    };
    const format = formats[options.output ?? (globals.json ? 'json' : 'raw')];
    try {
      world.stdout.write(`${format(await client.acquireTokenSilent(chosen.provider, request))}\n`);
    } catch (error) {
      if (!options.login || !(error instanceof AuthError) || error.code !== 'login_required') throw error;
      const { signInAs } = await import('./login.js');
      const { loginOptions } = await import('./login-options.js');
      const { session } = await signInAs(chosen, context, readOptions(loginOptions, {}, world.env));
      world.stdout.write(`${format(currentToken(session, request))}\n`);
    }
  },
};
