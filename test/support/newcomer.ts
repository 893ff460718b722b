import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ClientMetadata } from 'oidc-provider';
import { expect, onTestFinished } from 'vitest';

import { forThisTest, startKeyring, type KeyringSession } from './keyring.js';
import type { ProviderOptions } from './provider-configuration.js';
import { startProvider, type Provider } from './provider.js';
import { agent, newMachine, type Machine, type Outcome } from './run.js';

export interface Newcomer {
  readonly acme: Provider;
  /** Knows the provider as `acme`. */
  readonly machine: Machine;
}

/** A provider of one's own, which ends with the test. */
export async function startAcme(options?: ProviderOptions): Promise<Provider> {
  const acme = await startProvider(options);
  onTestFinished(() => acme.stop());
  return acme;
}

/** Somebody who has added a provider and not signed in yet. */
export async function newcomer(
  env: Readonly<Record<string, string>> = { AUTHCLI_STORE: 'file' },
  options?: ProviderOptions,
): Promise<Newcomer> {
  const acme = await startAcme(options);
  const machine = newMachine(env);
  const scope = 'openid profile email offline_access';
  await machine.run([
    'provider',
    'add',
    'acme',
    '--issuer',
    acme.issuer,
    '--client-id',
    'cli',
    '--scope',
    scope,
  ]);
  return { acme, machine };
}

/** The client `app` as a provider knows it: a public one, but for what is in `changes`. */
export function nativeClient(changes: Partial<ClientMetadata> = {}): ClientMetadata {
  return {
    client_id: 'app',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['http://127.0.0.1/callback'],
    ...changes,
  };
}

/**
 * Somebody whose provider knows the client `app` by what is in `client`, and whose configuration says `entry`: the two need
 * not agree.
 */
export async function newcomerWith(client: Partial<ClientMetadata>, entry: object = {}): Promise<Newcomer> {
  const acme = await startAcme({ clients: [nativeClient(client)] });
  const machine = newMachine({ AUTHCLI_STORE: 'file', APP_SECRET: 'of-another-client', NO_COLOR: '1' });
  const known = { issuer: acme.issuer, clientId: 'app', scope: 'openid offline_access', ...entry };
  machine.configure({ providers: { acme: known } });
  return { acme, machine };
}

/** Somebody whose entry has more to say than issuer and client. */
export async function knowing(entry: object, options?: ProviderOptions): Promise<Newcomer> {
  const acme = await startAcme(options);
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const scope = 'openid profile email offline_access';
  machine.configure({ providers: { acme: { issuer: acme.issuer, clientId: 'cli', scope, ...entry } } });
  return { acme, machine };
}

/** Jane signs in with the built program. */
export function login(machine: Machine, ...argv: string[]): Promise<Outcome> {
  return machine.spawn(['login', '-q', '--prompt', 'consent', '--browser', agent, ...argv]);
}

/** Jane has signed in. */
export async function signedIn(...known: Parameters<typeof newcomer>): Promise<Newcomer> {
  const { acme, machine } = await newcomer(...known);
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  return { acme, machine };
}

export interface KeychainUser extends Newcomer {
  readonly keyring: KeyringSession;
  /** Of the item that holds the key. */
  readonly account: string;
}

/** Jane has signed in, and the key of her session is in a keyring of her own. */
export async function signedInWithKeyring(): Promise<KeychainUser> {
  const keyring = await forThisTest(startKeyring());
  const { acme, machine } = await newcomer(keyring.env);
  expect(await login(machine, '--json')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('"store":"keychain"'),
  });
  return { keyring, acme, machine, account: keychainAccount(machine) };
}

export function keychainAccount({ folder }: Machine): string {
  return /"id":"(\w+)"/.exec(readFileSync(join(folder, 'state', 'store.json'), 'utf8'))?.[1] ?? '';
}
