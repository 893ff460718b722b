/**
 * What a person can do about a failure, as data: whoever shows the failure puts it into words. The command line makes a command
 * of its own of it, a program that uses the library does what fits it.
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
  /** Make a provider the person's own. */
  | {
      readonly kind: 'add_provider';
      readonly name: string;
      readonly issuer: string;
      readonly clientId: string;
      readonly scope?: string | undefined;
      readonly ports?: readonly number[] | undefined;
      readonly redirectUri?: string | undefined;
    }
  /** Name one account of several. */
  | { readonly kind: 'choose_account'; readonly subjects: readonly string[] }
  /** Change a file by hand. */
  | { readonly kind: 'edit_file'; readonly path: string; readonly change: string }
  /** In words that name no command and no option of ours. */
  | { readonly kind: 'advice'; readonly text: string }
  /** Sign in as the account that was named, or name the one that signed in. */
  | { readonly kind: 'right_account'; readonly subject: string | null };
