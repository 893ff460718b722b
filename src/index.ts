import { resolve } from 'node:path';

import { AuthClient } from './client/auth-client.js';
import { Redactor } from './redactor.js';
import { redactedLine } from './remote-text.js';
import { keychainCallMs, signInMs } from './time-budgets.js';
import { assertVerifiedTls } from './verified-tls.js';
import { toldOnce } from './told-once.js';
import { systemWorld } from './world.js';

export type { AcquiredToken, SilentRequest } from './client/acquired-token.js';
export type { AuthClient, SessionFilter } from './client/auth-client.js';
export type {
  InteractiveRequest,
  RefusedCaller,
  SignedIn,
  SignInConversation,
} from './client/interactive.js';
export type { SignedOut, SignOutRequest } from './client/sign-out.js';
export { AuthError, type ErrorCode } from './errors.js';
export type { Provider } from './providers/provider.js';
export type { Remedy } from './remedy.js';
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

/**
 * A client on this machine's keychain, browser and network. Programs that it starts inherit no variable that begins with `AUTHCLI_`;
 * the environment of this process stays as it is.
 * @throws {AuthError} `usage` while `NODE_TLS_REJECT_UNAUTHORIZED` is 0, as does each call that needs the network
 */
export function createAuthClient(options: AuthClientOptions = {}): AuthClient {
  const world = systemWorld();
  assertVerifiedTls(world.env);
  const redactor = new Redactor();
  const warn = options.onWarning ?? (() => {});
  const mayPrompt = options.mayPrompt ?? false;
  const passphrase = async () => options.passphrase;
  return new AuthClient({
    // Kept whole: the refresh helper stands in another folder, and a program may go to one.
    folder: options.stateFolder === undefined ? world.folders().state : resolve(options.stateFolder),
    ownership: { uid: world.uid, warn },
    locking: { platform: world.platform, notice: toldOnce(warn) },
    keychain: world.keychain,
    patience: { timeoutMs: mayPrompt ? signInMs : keychainCallMs, mayPrompt, signal: options.signal },
    passphrase: { isRequested: false, open: passphrase, choose: passphrase },
    openBrowser: world.openBrowser,
    readSecret: world.secretReader(),
    askRefreshHelper: world.askRefreshHelper,
    now: world.now,
    env: world.env,
    signal: options.signal ?? new AbortController().signal,
    waiting: () => {},
    trace: () => {},
    conceal: redactor.conceal,
    shown: async (text) => redactedLine(text, redactor.redact),
  });
}
