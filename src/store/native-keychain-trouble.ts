import { oneLine } from '../remote-text.js';
import type { KeychainTrouble } from './keychain.js';
import { within, type Waited } from './wait-patiently.js';

/** What the native binding reported, or that there is none. */
export type NativeFailure = { readonly notInstalled: true } | { readonly refusal: string };

/** From the sources of the binding's platform crates; nobody has run these on macOS or Windows yet. */
export function nativeTrouble(failure: NativeFailure): KeychainTrouble {
  if ('notInstalled' in failure) {
    return {
      kind: 'unavailable',
      reason: 'not_installed',
      message: 'the part of authcli that talks to the keychain of this system is not installed',
      hint: 'install authcli again without --omit=optional',
    };
  }
  const { refusal } = failure;
  // errSecInteractionNotAllowed: over ssh, macOS keeps the login keychain locked and can ask nobody.
  if (/-25308|interaction is not allowed/i.test(refusal)) {
    return {
      kind: 'unavailable',
      reason: 'locked',
      message: 'the keychain is locked, and this session cannot ask for its password',
      hint: 'security unlock-keychain ~/Library/Keychains/login.keychain-db',
    };
  }
  // errSecUserCanceled
  if (/-128\b|user canceled/i.test(refusal)) {
    return {
      kind: 'unavailable',
      reason: 'dismissed',
      message: 'the dialog of the keychain was dismissed',
      hint: 'run the command again and choose Allow or Always Allow',
    };
  }
  // A network logon, such as ssh with a key, has no credential set (CredWrite, Win32).
  if (/ERROR_NO_SUCH_LOGON_SESSION|logon session/i.test(refusal)) {
    return {
      kind: 'unavailable',
      reason: 'refused',
      message: 'Windows keeps no credentials for this kind of logon (ERROR_NO_SUCH_LOGON_SESSION)',
      hint: 'run the command at the computer itself or over Remote Desktop instead of ssh',
    };
  }
  return {
    kind: 'unavailable',
    reason: 'refused',
    message: `the keychain refused: ${oneLine(refusal)}`,
    hint: 'look at the keychain program of this system (Keychain Access, Credential Manager), and try again',
  };
}

export function silentKeychain(waited: Waited): KeychainTrouble {
  return {
    kind: 'unavailable',
    reason: 'timeout',
    message: `the keychain did not answer ${within(waited)}`,
    hint: waited.isExtended
      ? 'answer its dialog with Always Allow; if it shows none, look at the keychain program of this system (Keychain Access, Credential Manager)'
      : 'if it shows a dialog, run the command in a terminal: there is time to answer it there, with Always Allow',
  };
}
