const shortestSecret = 8;
const patterns: readonly RegExp[] = [
  // Parameters of the token endpoint and of the authorization response.
  /(?<=\b(?:code|code_verifier|access_token|refresh_token|id_token|client_secret|device_code|assertion)=)[^&\s"']+/gi,
  /(?<="(?:access_token|refresh_token|id_token|client_secret|code_verifier)"\s*:\s*")[^"]+/gi,
  /(?<=\b(?:Bearer|DPoP|Basic) )[\w.~+/=-]{8,}/gi,
  // Of a URL with a user in it, such as a proxy's.
  /(?<=\b[a-z][a-z\d+.-]*:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/gi,
  // It begins where a run of such characters begins: from each `eyJ` on, a long text would take for ever.
  /(?<![\w-])eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g,
];

/** Keeps secrets out of everything that people and logs see: those of this run by value, others by their look. */
export class Redactor {
  readonly #secrets = new Set<string>();

  readonly conceal = (secret: string): void => {
    if (secret.length < shortestSecret) return;
    this.#secrets.add(secret);
    // As it would stand in a form body or a URL.
    this.#secrets.add(encodeURIComponent(secret));
  };

  readonly redact = (text: string): string => {
    let redacted = text;
    for (const secret of this.#secrets) redacted = redacted.replaceAll(secret, '[redacted]');
    for (const pattern of patterns) redacted = redacted.replace(pattern, '[redacted]');
    return redacted;
  };
}
