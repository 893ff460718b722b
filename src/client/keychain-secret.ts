import { AuthError } from '../errors.js';
import type { Keychain, KeychainTrouble } from '../store/keychain.js';
import type { KeySurroundings } from '../store/key-source.js';

type Owner = { readonly name: string; readonly issuer: string; readonly clientId: string };
type Surroundings = Pick<KeySurroundings, 'keychain' | 'patience'>;

/** In words that tell a person who looks through the keychain what it is. */
function accountOf({ issuer, clientId }: Owner): string {
  return `client secret of ${clientId} at ${issuer}`;
}

export async function readKeychainSecret(
  owner: Owner,
  { keychain, patience }: Surroundings,
): Promise<string> {
  const answer = await (await keychain()).read(accountOf(owner), patience);
  if (answer.kind === 'found') return answer.secret;
  if (answer.kind === 'unavailable') throw trouble(answer);
  throw new AuthError('usage', `the client secret of ${owner.name} is not in the keychain`, {
    hint: `authcli provider add ${owner.name} --force … --client-secret-keychain`,
  });
}

export async function writeKeychainSecret(
  owner: Owner,
  secret: string,
  { keychain, patience }: Surroundings,
): Promise<void> {
  assertDone(await (await keychain()).write(accountOf(owner), secret, patience));
}

export async function removeKeychainSecret(
  owner: Owner,
  { keychain, patience }: Surroundings,
): Promise<void> {
  assertDone(await (await keychain()).remove(accountOf(owner), patience));
}

function assertDone(answer: Awaited<ReturnType<Keychain['write']>>): void {
  if (answer.kind === 'unavailable') throw trouble(answer);
}

function trouble({ message, hint }: KeychainTrouble): AuthError {
  return new AuthError('store', `the keychain cannot keep or give the client secret: ${message}`, { hint });
}
