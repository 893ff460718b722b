/** Where a secret that is not ours to keep is to be had. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  /** Prints it on its standard output; run without a shell. */
  | { readonly command: string };

/** What is looked for, as people call it, and how `provider add` is told of another place for it. */
export interface SecretUse {
  readonly name: string;
  readonly option: string;
}

/**
 * @param use the client secret, when absent
 * @throws {AuthError} `usage` where there is none
 */
export type ReadSecret = (source: SecretSource, signal: AbortSignal, use?: SecretUse) => Promise<string>;
