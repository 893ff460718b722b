import { SecretMatcher } from './secret-matcher.js';

const shortestWhole = 8;
/** Nothing else happens while a text is looked at, not even Ctrl-C: a provider's megabyte would take seconds. Far less is shown. */
const mostLookedAt = 16 * 1024;
/** The look goes so much further than what is left: a secret that a cut goes through would not be known by its first half. */
const margin = 1024;
const patterns: readonly RegExp[] = [
  // Parameters of the token endpoint and of the authorization response.
  /(?<=\b(?:code|code_verifier|access_token|refresh_token|id_token|client_secret|device_code|assertion)=)[^&\s"']+/gi,
  /(?<="(?:access_token|refresh_token|id_token|client_secret|code_verifier)"\s*:\s*")[^"]+/gi,
  /(?<=\b(?:Bearer|DPoP|Basic) )[\w.~+/=-]{8,}/gi,
  // The password in a URL, such as a proxy's.
  /(?<=\b[a-z][a-z\d+.-]*:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/gi,
  // It begins where a run of such characters begins: from each `eyJ` on, a long text would take for ever.
  /(?<![\w-])eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g,
];

/** Keeps secrets out of everything that people and logs see: those of this run by value, others by their look. */
export class Redactor {
  readonly #secrets: Map<string, string>;
  #matcher: SecretMatcher | undefined;
  #matched = 0;

  /** @param secrets what is concealed already, and whatever is added to it later; behind each its `publicText` */
  constructor(secrets = new Map<string, string>()) {
    this.#secrets = secrets;
  }

  /**
   * @param publicText what everybody knows and the secret may have a part of, such as the name of its owner: that part
   *   alone is not concealed
   */
  readonly conceal = (secret: string, publicText = ''): void => {
    this.#secrets.set(secret, publicText);
  };

  /** In whatever form a secret is repeated. The end of a text that nobody could read is left out. */
  readonly redact = (text: string): string => {
    const isCut = text.length > mostLookedAt;
    const shown = isCut ? mostLookedAt - margin : text.length;
    let redacted = '';
    let end = 0;
    for (const { from, to } of this.#loadMatcher().find(text.slice(0, mostLookedAt))) {
      if (from >= shown) break;
      redacted += `${text.slice(end, from)}[redacted]`;
      end = to;
    }
    return byLook(redacted + text.slice(end, Math.max(end, shown))) + (isCut ? '...' : '');
  };

  /** For an address that must stay as it is: secrets in the form in which they would stand there. */
  readonly redactAddress = (address: string): string => {
    let redacted = address;
    for (const secret of this.#secrets.keys()) {
      if (secret.length < shortestWhole) continue;
      for (const form of [secret, encodeURIComponent(Buffer.from(secret).toString())])
        redacted = redacted.replaceAll(form, '[redacted]');
    }
    return byLook(redacted);
  };

  /** Built when there is something to redact, which is hardly ever. */
  #loadMatcher(): SecretMatcher {
    if (this.#matcher && this.#matched === this.#secrets.size) return this.#matcher;
    const matcher = new SecretMatcher();
    for (const [secret, publicText] of this.#secrets) matcher.add(secret, publicText);
    this.#matched = this.#secrets.size;
    return (this.#matcher = matcher);
  }
}

function byLook(text: string): string {
  return patterns.reduce((redacted, pattern) => redacted.replace(pattern, '[redacted]'), text);
}
