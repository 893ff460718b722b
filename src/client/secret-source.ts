/** Where a secret that is not ours to keep is to be had. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  /** Prints it on its standard output; run without a shell. */
  | { readonly command: string };

/** @throws {AuthError} `usage` where there is none */
export type ReadSecret = (source: SecretSource, signal: AbortSignal) => Promise<string>;
