import type { IncomingMessage, ServerResponse } from 'node:http';
import type { default as OidcProvider, InteractionResults } from 'oidc-provider';
import { newAccount } from './provider-configuration.js';
import type { Account } from './provider-configuration.js';
import { consentPage, createAccountPage, errorPage, loginPage, selectAccountPage } from './provider-pages.js';

type Interaction = Awaited<ReturnType<OidcProvider['interactionDetails']>>;

/** The pages between the authorization request and its response: GET shows what is asked, POST answers it. */
export async function interact(
  provider: OidcProvider,
  accounts: Map<string, Account>,
  request: IncomingMessage,
  response: ServerResponse,
  answers: Readonly<Record<string, string>>,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response).catch(() => undefined);
  if (interaction === undefined) {
    sendPage(response, 400, errorPage('This sign-in is over', 'Start again from the application.'));
  } else if (request.method !== 'POST') {
    sendPage(response, 200, await questionPage(provider, interaction, accounts));
  } else {
    const result =
      interaction.prompt.name === 'consent'
        ? await consent(provider, interaction, answers['answer'])
        : signIn(interaction, accounts, answers['login'] ?? '');
    if (result === undefined) sendPage(response, 200, loginPage('', 'There is no such account.'));
    else await provider.interactionFinished(request, response, result);
  }
}

async function questionPage(
  provider: OidcProvider,
  { prompt, params }: Interaction,
  accounts: ReadonlyMap<string, Account>,
): Promise<string> {
  switch (prompt.name) {
    case 'consent': {
      const client = await provider.Client.find(String(params['client_id']));
      return consentPage(client?.clientName ?? String(params['client_id']), String(params['scope']));
    }
    case 'select_account':
      return selectAccountPage(accounts.values());
    case 'create':
      return createAccountPage();
    default:
      return loginPage(typeof params['login_hint'] === 'string' ? params['login_hint'] : 'jane@acme.test');
  }
}

function signIn(
  { prompt }: Interaction,
  accounts: Map<string, Account>,
  login: string,
): InteractionResults | undefined {
  if (prompt.name === 'create' && !accounts.has(login)) accounts.set(login, newAccount(login));
  const account = accounts.get(login);
  return account && { [prompt.name]: {}, login: { accountId: account.sub } };
}

async function consent(
  provider: OidcProvider,
  { prompt, params, session, grantId }: Interaction,
  answer: string | undefined,
): Promise<InteractionResults> {
  if (answer !== 'allow' || session === undefined) {
    return { error: 'access_denied', error_description: 'The person denied the access' };
  }
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant =
    known ?? new provider.Grant({ accountId: session.accountId, clientId: String(params['client_id']) });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (Array.isArray(missingOIDCScope)) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (Array.isArray(missingOIDCClaims)) grant.addOIDCClaims(missingOIDCClaims);
  const missing: Readonly<Record<string, readonly string[]>> = Object(missingResourceScopes);
  for (const [resource, scopes] of Object.entries(missing))
    grant.addResourceScope(resource, scopes.join(' '));
  return { consent: { grantId: await grant.save() } };
}

function sendPage(response: ServerResponse, status: number, html: string): void {
  response
    .writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    .end(html);
}
