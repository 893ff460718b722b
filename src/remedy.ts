/**
 * The way out of a failure, as data. Whoever shows the failure puts it into words: the command line makes a command of its own of
 * it, a program that uses the library does what fits it.
 */
export type Remedy =
  /** Sign in, with these in place of what the configuration says. */
  | {
      readonly kind: 'login';
      /** The name of the provider; the one that was asked for when absent. */
      readonly provider?: string | undefined;
      readonly account?: string | undefined;
      readonly store?: 'keychain' | 'file' | undefined;
      readonly scope?: string | undefined;
      readonly prompt?: string | undefined;
    }
  | {
      readonly kind: 'logout';
      readonly provider?: string | undefined;
      readonly account?: string | undefined;
      /** Every account of it. */
      readonly isAll?: boolean | undefined;
      /** Without a revocation, which works without the key of the session. */
      readonly forgetOnly?: boolean | undefined;
      /** What lets the same sign-out go on, in words that come first. */
      readonly otherwise?: string | undefined;
    }
  /** Make a provider the person's own. */
  | {
      readonly kind: 'add_provider';
      readonly name: string;
      readonly clientId: string;
      readonly issuer?: string | undefined;
      /** One of the catalogue, in place of an issuer. */
      readonly preset?: string | undefined;
      readonly settings?: Readonly<Record<string, string>> | undefined;
      readonly scope?: string | undefined;
      readonly ports?: readonly number[] | undefined;
      readonly redirectUri?: string | undefined;
      /** It is to be given a client secret, too. */
      readonly needsSecret?: boolean | undefined;
    }
  /** Name one account of several. */
  | { readonly kind: 'choose_account'; readonly subjects: readonly string[] }
  /** Change a file by hand. */
  | { readonly kind: 'edit_file'; readonly path: string; readonly change: string }
  /** In words that name no command and no option of ours. */
  | { readonly kind: 'advice'; readonly text: string }
  /** Keep the sessions, or the configuration, in another folder. */
  | {
      readonly kind: 'move_folder';
      readonly holds: 'sessions' | 'configuration';
      readonly because:
        /** We may not write there. */
        | 'denied'
        /** It cannot be written by anybody. */
        | 'unusable'
        /** Others may write there. */
        | 'shared'
        /** It belongs to another user: root usually got there by sudo. */
        | 'foreign_to_root'
        | 'foreign'
        /** A mode has no effect there. */
        | 'no_modes';
      /** One that would do. */
      readonly example?: string | undefined;
    }
  /** Sign in as the account that was named, or name the one that signed in. */
  | { readonly kind: 'right_account'; readonly subject: string | null };
