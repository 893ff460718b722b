import { BusError } from '../dbus/connection.js';
import { MalformedMessage } from '../dbus/malformed-message.js';
import type { KeychainTrouble } from './keychain.js';
import { isLockedError, KeyringUnavailable, type KeyringState } from './keyring-unavailable.js';
import { within, type Waited } from './wait-patiently.js';

const answerDialog = 'see whether it shows a dialog';
const useTerminal = 'if it shows a dialog, run the command in a terminal: there is time to answer it there';

const troubles: Readonly<Record<KeyringState, Omit<KeychainTrouble, 'kind'>>> = {
  no_service: {
    reason: 'no_service',
    message: 'no keyring runs in this session: nothing on its D-Bus answers as org.freedesktop.secrets',
    hint: 'start gnome-keyring or KWallet, or switch on the Secret Service integration of KeePassXC',
  },
  no_collection: {
    reason: 'no_collection',
    message: 'the keyring has no default collection to keep secrets in',
    hint: 'create one in the keyring program (Seahorse: File, New, Password Keyring) and make it the default',
  },
  locked: {
    reason: 'locked',
    message: 'the keyring is locked',
    hint: 'unlock it in the desktop session, with Seahorse, KWallet or KeePassXC, and try again',
  },
  unanswered: {
    reason: 'timeout',
    message: 'nobody answered the dialog of the keyring in time',
    hint: 'run the command again and answer the dialog, or unlock the keyring first',
  },
  dismissed: {
    reason: 'dismissed',
    message: 'the keyring stays locked: its dialog was dismissed, or there is no desktop to show it on',
    hint: 'run the command again and answer the dialog, or unlock the keyring first',
  },
};

/** What an interrupted conversation means to the person. What is no failure of the keyring is thrown on. */
export function keyringTrouble(error: unknown, waited: Waited): KeychainTrouble {
  if (error instanceof KeyringUnavailable) return { kind: 'unavailable', ...troubles[error.state] };
  if (error instanceof MalformedMessage) return refused('its answer makes no sense');
  if (!(error instanceof BusError)) throw error;
  switch (error.failure) {
    case 'unreachable':
      return {
        kind: 'unavailable',
        reason: 'no_bus',
        message: `the keyring is out of reach: this session has no working D-Bus (${error.message})`,
        hint: 'run the command in the desktop session, or set DBUS_SESSION_BUS_ADDRESS to the bus of that session',
      };
    case 'silent':
      return {
        kind: 'unavailable',
        reason: 'timeout',
        message: `the D-Bus of this session did not answer ${within(waited)}`,
        hint: 'log out and in again, or set DBUS_SESSION_BUS_ADDRESS to a bus that works',
      };
    case 'timeout':
      return {
        kind: 'unavailable',
        reason: 'timeout',
        message: `the keyring did not answer ${within(waited)}`,
        hint: `${waited.isExtended ? answerDialog : useTerminal}; if it hangs, restart it (gnome-keyring-daemon --replace) or log in again`,
      };
    case 'broken':
      return refused(error.message);
    case 'error':
      return errorReply(error.errorName);
  }
}

function errorReply(errorName: string): KeychainTrouble {
  if (errorName === isLockedError) return { kind: 'unavailable', ...troubles.locked };
  const nobodyThere = /^org\.freedesktop\.DBus\.Error\.(?:ServiceUnknown|NameHasNoOwner|Spawn\.\w+)$/;
  if (nobodyThere.test(errorName)) return { kind: 'unavailable', ...troubles.no_service };
  return refused(/^[\w.]+$/.test(errorName) ? errorName : 'an error without a name');
}

function refused(why: string): KeychainTrouble {
  return {
    kind: 'unavailable',
    reason: 'refused',
    message: `the keyring refused: ${why}`,
    hint: 'look at the keyring program, or restart it, and try again',
  };
}
