import { AuthClient } from './client/auth-client.js';
import { Redactor } from './redactor.js';
import { systemWorld } from './world.js';

export type { AcquiredToken, SilentRequest } from './client/acquired-token.js';
export type { AuthClient, SessionFilter } from './client/auth-client.js';
export type { InteractiveRequest, SignedIn, SignInConversation } from './client/interactive.js';
export type { SignedOut, SignOutRequest } from './client/sign-out.js';
export { AuthError, type ErrorCode } from './errors.js';
export type { Provider } from './providers/provider.js';
export type { Account } from './store/account.js';
export type { SessionListing, StoredSession } from './store/session-store.js';
export type { SessionSummary } from './store/session.js';

export interface AuthClientOptions {
  /** Where sessions are kept; by default the command's own folder, so that a program and the command share them. */
  readonly stateFolder?: string;
  /** Opens sessions that are sealed with a passphrase, and seals new ones of the file store. */
  readonly passphrase?: string;
  /** Ends whatever the client waits for. */
  readonly signal?: AbortSignal;
  /** Whether the keychain may show a dialog to be unlocked; by default it may not. */
  readonly mayPrompt?: boolean;
  readonly onWarning?: (message: string) => void;
}

/** A client on this machine's keychain, browser and network. */
export function createAuthClient(options: AuthClientOptions = {}): AuthClient {
  const world = systemWorld();
  const redactor = new Redactor();
  const mayPrompt = options.mayPrompt ?? false;
  const passphrase = async () => options.passphrase;
  return new AuthClient({
    folder: options.stateFolder ?? world.folders().state,
    ownership: { uid: world.uid, warn: options.onWarning ?? (() => {}) },
    keychain: world.keychain,
    patience: { timeoutMs: mayPrompt ? 5 * 60_000 : 4_000, mayPrompt },
    passphrase: { isRequested: false, open: passphrase, choose: passphrase },
    openBrowser: world.openBrowser,
    readSecret: world.readSecret,
    askRefreshHelper: world.askRefreshHelper,
    now: world.now,
    env: world.env,
    signal: options.signal ?? new AbortController().signal,
    waiting: () => {},
    trace: () => {},
    conceal: redactor.conceal,
    redact: redactor.redact,
  });
}
