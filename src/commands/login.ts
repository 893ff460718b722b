import { AuthClient } from '../client/auth-client.js';
import type { InteractiveRequest, SignedIn } from '../client/interactive.js';
import { AuthError } from '../errors.js';
import { assertChangeable, loadEditor } from '../providers/edit-configuration.js';
import { assertProviderName, issuerFault, nameOfIssuer, type Provider } from '../providers/provider.js';
import type { ChosenProvider } from '../providers/resolve-provider.js';
import type { StoreName } from '../store/key-source.js';
import { oneLine, printableJson } from '../remote-text.js';
import type { StoredSession } from '../store/session-store.js';
import { signInMs } from '../time-budgets.js';
import { publicAccount } from '../store/account.js';
import { chosenBrowser } from './browser-options.js';
import { changeConfiguration } from './change-configuration.js';
import { namesProof, withClient } from './client-options.js';
import {
  chosenProvider,
  clientSurroundings,
  ownConfiguration,
  configurationFile,
  type Command,
  type Context,
} from './command.js';
import { loginOptions, type LoginOptions } from './login-options.js';
import { passphraseSource } from './passphrase.js';
import { hintOf } from './remedy-words.js';
import { scopeOf } from './values.js';

export const login: Command<typeof loginOptions> = {
  name: 'login',
  summary: 'sign in through the browser',
  options: loginOptions,
  longestMs: () => signInMs,

  async run(options, context) {
    const { isNew, ...chosen } = await chooseProvider(options, context);
    assertOwnClient(chosen, options);
    const { provider: known, chosenBy } = chosen;
    const provider = withClient(known, options, context);
    const isChanged = isNew || provider.client !== known.client;
    if (options.ifNeeded) {
      const alive = await findAlive(provider, options, context);
      if (alive !== undefined) return report(alive, context);
    }
    if (isChanged) assertChangeable(configurationFile(context));
    const scope = options.scope && scopeOf(options.scope);
    const wanted = { ...provider, ...(isNew && scope && { scope }) };
    const signedIn = await signInAs({ provider: wanted, chosenBy }, context, options);
    if (isNew) await saveProvider(provider, signedIn.requestedScope, context);
    else if (isChanged) await saveClient(provider, context);
    report(signedIn.stored, context);
  },
};

/** As if it had just been signed in to: it becomes the provider's current one. */
async function findAlive(
  provider: Provider,
  options: LoginOptions,
  context: Context,
): Promise<StoredSession | undefined> {
  const { account, store } = context.globals;
  const client = new AuthClient(clientSurroundings(context));
  const request = await interactiveRequest(options, context);
  const alive = await client.findAlive(provider, request, { account, store });
  if (alive === undefined) return undefined;
  const current = client.currentFileNames(client.findSessions(provider));
  if (!current.has(alive.fileName)) await client.makeCurrent(alive);
  return alive;
}

/** The sign-in itself, also for `token --login`. */
export async function signInAs(
  { provider, chosenBy }: ChosenProvider,
  context: Context,
  options: LoginOptions = {},
): Promise<SignedIn> {
  const { world, terminal } = context;
  if (options.passphrase && (await chosenStore(context)) !== 'file') {
    throw new AuthError('usage', '--passphrase goes with --store file', {
      hint: 'authcli login --store file --passphrase',
    });
  }
  const surroundings = clientSurroundings(context, { passphrase: passphraseSource(options, context) });
  if (chosenBy !== undefined) terminal.say(chosenByProject(provider, chosenBy));
  // npm may replace the package while the person is in the browser: nothing that follows the sign-in is loaded after it.
  await Promise.all([loadEditor(), terminal.load()]);
  const { showSignIn } = await import('../terminal/sign-in-screen.js');
  const words = (failure: AuthError) => hintOf(failure, { ...context.asked, provider: provider.name });
  const screen = showSignIn(provider.name, context.clock.deadline, words, world, terminal);
  try {
    const signedIn = await new AuthClient(surroundings).acquireTokenInteractive(
      provider,
      await interactiveRequest(options, context),
      screen,
    );
    await screen.close();
    warnOfGaps(signedIn, options, context);
    warnOfWeakSignIn(signedIn, options, context);
    await keepChoiceOfStore(context);
    return signedIn;
  } finally {
    await screen.close();
  }
}

/** The options of the command line, as the client takes them. */
async function interactiveRequest(options: LoginOptions, context: Context): Promise<InteractiveRequest> {
  const { world, globals } = context;
  return {
    store: await chosenStore(context),
    account: globals.account,
    scope: options.scope && scopeOf(options.scope),
    prompt: options.prompt,
    responseMode: options.responseMode,
    par: options.par,
    dpop: options.dpop,
    loginHint: options.loginHint,
    consentScope: options.consentScope && scopeOf(options.consentScope, '--consent-scope'),
    maxAgeSeconds: options.maxAge === undefined ? undefined : Math.floor(options.maxAge / 1000),
    acrValues: options.acrValues?.join(' '),
    claims: options.claims,
    resource: options.resource,
    audience: options.audience,
    parameters: {
      ...(options.domainHint !== undefined && { domain_hint: options.domainHint }),
      ...(options.uiLocales && { ui_locales: options.uiLocales.join(' ') }),
      ...Object.fromEntries(options.authParam ?? []),
    },
    tokenParameters: Object.fromEntries(options.tokenParam ?? []),
    redirect: { uri: options.redirectUri, host: options.listen, ports: options.port?.flat() },
    browser: chosenBrowser(options, world),
  };
}

async function chosenStore(context: Context): Promise<StoreName> {
  return context.globals.store ?? (await ownConfiguration(context)).store ?? 'keychain';
}

async function chooseProvider(
  { issuer, clientId }: LoginOptions,
  context: Context,
): Promise<ChosenProvider & { readonly isNew: boolean }> {
  if (issuer === undefined) {
    if (clientId !== undefined) throw new AuthError('usage', '--client-id needs --issuer');
    return { ...(await chosenProvider(context)), isNew: false };
  }
  const fault = issuerFault(issuer);
  if (fault !== undefined)
    throw new AuthError('usage', `the issuer ${fault}`, {
      hint: 'authcli login --issuer https://… --client-id ID',
    });
  if (!clientId) {
    throw new AuthError('usage', '--issuer needs --client-id', {
      hint: `authcli login --issuer ${issuer} --client-id ID`,
    });
  }
  const name = context.globals.provider ?? nameOfIssuer(issuer);
  assertProviderName(name);
  // Issuer and client were typed, so an entry of that name in a project has no say.
  const { providers } = await ownConfiguration(context);
  const entry = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (entry === undefined) return { provider: { name, issuer, clientId }, isNew: true };
  if (entry.issuer === issuer && entry.clientId === clientId)
    return { provider: { name, ...entry }, isNew: false };
  throw new AuthError('usage', `the name "${name}" is in use for another issuer or client`, {
    hint: 'give this one another name: -p NAME',
  });
}

async function saveProvider(
  { name, issuer, clientId, client }: Provider,
  scope: string | null,
  context: Context,
): Promise<void> {
  const entry = { issuer, clientId, ...(scope !== null && { scope }), ...(client && { client }) };
  await changeConfiguration(context, ['providers', name], entry);
}

async function saveClient({ name, client }: Provider, context: Context): Promise<void> {
  await changeConfiguration(context, ['providers', name, 'client'], client);
}

function chosenByProject({ name, issuer, clientId }: Provider, file: string): string {
  return oneLine(`${file} chose the provider ${name}: issuer ${issuer}, client ${clientId}.`);
}

/** Whoever wrote a project's file has no claim to a secret, and no proof of the client is made for its issuer. */
function assertOwnClient({ provider, makeOwn }: ChosenProvider, options: LoginOptions): void {
  const { name, client, project } = provider;
  if (project === undefined) return;
  const needsSecret = client?.authentication !== undefined && client.secret === undefined;
  if (!needsSecret && !namesProof(options)) return;
  const what = needsSecret ? ' and needs a client secret' : '';
  throw new AuthError(
    'usage',
    `${name} is a provider of ${project.file}${what}: secrets, keys and certificates are for providers of your own only`,
    { remedy: makeOwn?.kind === 'add_provider' ? { ...makeOwn, needsSecret } : makeOwn },
  );
}

/** Once made, the choice holds: later logins must not land in another store because a flag was forgotten. */
async function keepChoiceOfStore(context: Context): Promise<void> {
  const { globals, terminal } = context;
  if (globals.store === undefined || (await ownConfiguration(context)).store !== undefined) return;
  try {
    await changeConfiguration(context, ['store'], globals.store satisfies StoreName);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    terminal.warn(`the choice of --store ${globals.store} could not be kept: ${error.message}`);
  }
}

function warnOfGaps(
  { stored, session, requestedScope }: SignedIn,
  { resource, audience }: LoginOptions,
  { terminal }: Context,
): void {
  const { scope, refreshable, provider } = stored.summary;
  const asked = requestedScope?.split(' ') ?? [];
  const granted = scope?.split(' ') ?? [];
  if (asked.includes('offline_access') && !refreshable) {
    terminal.warn(`${provider} gave no refresh token: when the access token expires, you must sign in again`);
    terminal.hint(`authcli login -p ${provider} --prompt consent`);
  }
  // Some leave offline_access out of their answer and grant it all the same; a token for one API has no more than its scopes.
  const isForApi = resource !== undefined || audience !== undefined;
  const silent = isForApi && session.idToken !== null ? aboutThePerson : ['offline_access'];
  const missing = asked.filter((one) => !granted.includes(one) && !silent.includes(one));
  const extra = granted.filter((one) => !asked.includes(one));
  if (missing.length > 0) terminal.warn(`not granted: ${missing.join(' ')}`);
  if (asked.length > 0 && extra.length > 0)
    terminal.warn(`granted without having been asked for: ${extra.join(' ')}`);
}

/** OpenID Connect Core 5.4 and 11. */
const aboutThePerson = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'];

/** Voluntary: what must be so is asked for with --claims. */
function warnOfWeakSignIn({ acr }: SignedIn, { acrValues }: LoginOptions, { terminal }: Context): void {
  const wanted = acrValues?.flatMap((one) => one.split(' ')) ?? [];
  if (acr === undefined || wanted.length === 0 || (acr !== null && wanted.includes(acr))) return;
  terminal.warn(
    `the sign-in is of another kind than --acr-values asks for: ${acr ?? 'the provider does not say which'}`,
  );
}

function report(stored: StoredSession, context: Context): void {
  const { world, terminal, globals } = context;
  const { provider, issuer, account, scope, expiresAt, refreshable } = stored.summary;
  if (globals.json) {
    const answer = {
      provider,
      issuer,
      account: publicAccount(account),
      scope,
      expiresAt,
      refreshable,
      store: stored.store,
    };
    world.stdout.write(`${printableJson(answer)}\n`);
    return;
  }
  const place = stored.store === 'keychain' ? "under the system's keychain" : 'in a sealed file';
  const who = new AuthClient(clientSurroundings(context)).labelOf(stored.summary);
  terminal.notice(`Signed in to ${provider} as ${who}; the session is kept ${place}.`, {
    text: '✓',
    style: 'green',
  });
}
