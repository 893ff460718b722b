/** What a session belongs to. A name alone is not enough: its configuration may be changed by others. */
export interface SessionOwner {
  readonly provider: string;
  readonly issuer: string;
  readonly clientId: string;
  /** A digest of what the configuration says of the provider's endpoints; null where they are as published. */
  readonly endpoints: string | null;
  /** The entry in a project's file that names the provider; null where the entry is the person's own. */
  readonly project: ProjectEntry | null;
}

/** An entry of a project's file; of a session, as it was at the sign-in. */
export interface ProjectEntry {
  /** The real path of the file. */
  readonly file: string;
  /** SHA-256 over the entry. */
  readonly digest: string;
}
