export const isLockedError = 'org.freedesktop.Secret.Error.IsLocked';

export type KeyringState = 'no_service' | 'no_collection' | 'locked' | 'unanswered' | 'dismissed';

/** A state in which the keyring cannot be used, though every call was answered. */
export class KeyringUnavailable extends Error {
  readonly state: KeyringState;

  constructor(state: KeyringState) {
    super(state);
    this.state = state;
  }
}
