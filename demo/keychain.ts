import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemWorld } from '../src/world.js';
import type { DemoEnvironment } from './environment.js';

const patience = { timeoutMs: 3_000, mayPrompt: false };

/** Whether the system's keychain takes and gives back a secret without asking anybody. */
export async function usableKeychain(): Promise<boolean> {
  const keychain = await systemWorld().keychain();
  const account = `demo-${randomUUID()}`;
  const written = await keychain.write(account, 'probe', patience);
  return written.kind === 'done' && (await keychain.remove(account, patience)).kind === 'done';
}

/** The program keeps its key in the keychain for later logins; after a demo there are none. */
export async function forgetDemoKey(env: DemoEnvironment): Promise<void> {
  const account = keychainAccount(env.AUTHCLI_STATE_DIR);
  if (account === undefined) return;
  const keychain = await systemWorld().keychain();
  await keychain.remove(account, patience);
}

function keychainAccount(stateFolder: string): string | undefined {
  try {
    const description: { id?: unknown } = JSON.parse(readFileSync(join(stateFolder, 'store.json'), 'utf8'));
    return typeof description.id === 'string' ? description.id : undefined;
  } catch {
    return undefined;
  }
}
