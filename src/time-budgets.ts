/** How long things may take. The table in docs/reliability.md has the same numbers; a test compares them. */

/** A command, unless --timeout says otherwise. The wait for a lock and a refresh fit into it. */
export const commandMs = 60_000;
/** A command that may open a browser: the person needs time there. */
export const signInMs = 5 * 60_000;
/** One call to the keychain, which may take 5 s from the start of the process to its end. */
export const keychainCallMs = 4_000;
/** A keychain that is silent for so long may show a dialog. */
export const keychainSilenceMs = 2_000;
/** The wait for another process that holds a lock. */
export const lockWaitMs = 30_000;
/** A refresh with its retry, once it has the lock. */
export const refreshMs = 25_000;
/** One request to a provider. */
export const requestMs = 12_000;
/** The request that redeems an authorization code: the code is spent by it, so a second one would not help. */
export const codeExchangeMs = 30_000;
