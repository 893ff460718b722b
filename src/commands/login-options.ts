import { AuthError } from '../errors.js';
import { isLoopback } from '../loopback.js';
import { duration, flagOf, type OptionTable, type OptionValues } from './options.js';
import { browserOptions } from './browser-options.js';
import { clientOptions } from './client-options.js';
import { redirectOptions } from './redirect-options.js';
import { clientIdentifier, nameAndValue, requestedClaims, resourceIndicator } from './values.js';

/** What the flow itself sets: replacing one of these would undo a protection, or contradict an option of its own. */
const reservedParameters: ReadonlySet<string> = new Set([
  'client_id',
  'client_secret',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'prompt',
  'login_hint',
  'domain_hint',
  'max_age',
  'acr_values',
  'ui_locales',
  'claims',
  'resource',
  'audience',
  'request',
  'request_uri',
  'grant_type',
  'code',
  'code_verifier',
  'client_assertion',
  'client_assertion_type',
]);

export const loginOptions = {
  issuer: { value: 'URL', summary: 'sign in at this issuer, with nothing configured' },
  clientId: { value: 'ID', parse: clientIdentifier, summary: 'the client ID to use there' },
  ...clientOptions,
  scope: { value: 'SCOPE', list: true, summary: 'ask for these scopes instead of the configured ones' },
  prompt: {
    value: 'PROMPT',
    choices: ['none', 'login', 'consent', 'select_account', 'create'],
    summary: 'what the provider shows: none, login, consent, select_account or create',
  },
  loginHint: { value: 'WHO', summary: 'who will probably sign in' },
  domainHint: { value: 'DOMAIN', summary: 'which of its domains the provider should sign in (Microsoft)' },
  consentScope: {
    value: 'SCOPE',
    list: true,
    summary: 'more scopes to consent to now; no token is asked for them',
  },
  resource: { value: 'URI', parse: resourceIndicator, summary: 'the API that the token is for (RFC 8707)' },
  audience: { value: 'NAME', summary: 'the audience of the token, where the provider wants that' },
  maxAge: {
    value: 'DUR',
    parse: duration,
    summary: 'how old the sign-in at the provider may be, such as 5m',
  },
  acrValues: { value: 'ACR', list: true, summary: 'the kinds of sign-in to ask for, the best first' },
  uiLocales: { value: 'LANG', list: true, summary: "the languages of the provider's pages, such as de en" },
  claims: {
    value: 'JSON',
    parse: requestedClaims,
    summary: "a claims request, or an API's claims challenge",
  },
  authParam: {
    value: 'K=V',
    list: true,
    parse: (text) => parameter(text, '--auth-param'),
    summary: 'add to the authorization request',
  },
  tokenParam: {
    value: 'K=V',
    list: true,
    parse: (text) => parameter(text, '--token-param'),
    summary: 'add to the token request',
  },
  ...redirectOptions,
  listen: {
    value: 'ADDR',
    parse: loopbackHost,
    summary: 'the loopback address to listen on: 127.0.0.1 (default), ::1, or localhost for both',
  },
  ...browserOptions,
  responseMode: {
    value: 'MODE',
    choices: ['query', 'form_post'],
    summary: 'how the provider answers: query (in the address) or form_post (as a form)',
  },
  par: { summary: 'send the authorization request ahead (RFC 9126)' },
  dpop: { summary: 'bind the tokens to a key that is kept with the session (RFC 9449)' },
  ifNeeded: { summary: 'only when there is no session that can give a token' },
  passphrase: { summary: 'with --store file: seal with a passphrase, asked for here' },
} as const satisfies OptionTable;

export type LoginOptions = OptionValues<typeof loginOptions>;

function parameter(text: string, option: string): readonly [string, string] {
  const [name, value] = nameAndValue(text);
  if (reservedParameters.has(name)) {
    const key = Object.keys(loginOptions).find((one) => flagOf(one) === `--${name.replaceAll('_', '-')}`);
    throw new AuthError('usage', `${option} cannot set ${name}: the sign-in itself does`, {
      hint: key !== undefined ? `use ${flagOf(key)}` : undefined,
    });
  }
  return [name, value];
}

/** As a redirect URI has it. */
function loopbackHost(text: string): string {
  const host = text.includes(':') && !text.startsWith('[') ? `[${text}]` : text;
  const address = `http://${host}/`;
  if (URL.canParse(address)) {
    const { href, hostname } = new URL(address);
    if (href === `http://${hostname}/` && isLoopback(hostname)) return hostname;
  }
  throw new Error('an address of this machine only: 127.0.0.1, ::1 or localhost');
}
