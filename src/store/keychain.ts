/** How long a call to the keychain may take, and whether it may ask the person to unlock it. */
export interface Patience {
  readonly timeoutMs: number;
  readonly mayPrompt: boolean;
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
