/** How long a call to the keychain may take, and whether it may ask the person to unlock it. */
export interface Patience {
  readonly timeoutMs: number;
  readonly mayPrompt: boolean;
  /**
   * Asked once, where the keychain has been silent for `keychainSilenceMs`: it may show a dialog by itself. Tells the person, and
   * returns for how many milliseconds more the keychain may be waited for; undefined where nobody could answer a dialog.
   */
  extend?(): number | undefined;
  /** Ends a call at once, with its reason; read again after `extend`. */
  readonly signal?: AbortSignal | undefined;
}

export type KeychainTrouble = {
  readonly kind: 'unavailable';
  readonly reason:
    | 'no_bus'
    | 'no_service'
    | 'no_collection'
    | 'locked'
    | 'timeout'
    | 'dismissed'
    | 'refused'
    | 'not_installed';
  /** What happened, for a person, in one line. */
  readonly message: string;
  /** How the person can mend it; never mentions another store. */
  readonly hint: string;
};

export type KeychainRead =
  | { readonly kind: 'found'; readonly secret: string }
  | { readonly kind: 'missing' }
  | KeychainTrouble;

export type KeychainWrite = { readonly kind: 'done' } | KeychainTrouble;

/**
 * The system's keychain: secrets of one line, named by an account, all under the service `authcli`.
 * Every call ends within its patience, whatever the keychain does, and leaves nothing that keeps the process alive.
 */
export interface Keychain {
  read(account: string, patience: Patience): Promise<KeychainRead>;
  write(account: string, secret: string, patience: Patience): Promise<KeychainWrite>;
  /** Removing what is not there is `done`. */
  remove(account: string, patience: Patience): Promise<KeychainWrite>;
}
