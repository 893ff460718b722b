import type { Patience } from '../store/keychain.js';
import { keychainCallMs } from '../time-budgets.js';
import type { Context } from './command.js';

/** A silent keychain is given up a moment before the command ends, so that the command can say what is wrong. */
const partOfRest = 0.95;

/** @param mayPrompt whether the keychain may be asked to show its dialog; some show one without being asked */
export function keychainPatience(
  { clock, terminal, world, globals }: Pick<Context, 'clock' | 'terminal' | 'world' | 'globals'>,
  mayPrompt: boolean,
): Patience {
  const restMs = () => clock.remainingMs() * partOfRest;
  return {
    mayPrompt,
    get timeoutMs() {
      return mayPrompt ? restMs() : Math.min(restMs(), keychainCallMs);
    },
    extend() {
      // Asked only now: the first look at stdin and stderr costs milliseconds, which a token from the cache need not pay.
      if (globals.noInput || !terminal.isInteractive || world.stdin.isTTY !== true) return undefined;
      terminal.notice('The keychain has not answered yet. It may show a dialog that waits for you.');
      // From now on Ctrl-C ends the call, too.
      return clock.signal.aborted ? 0 : restMs();
    },
    get signal() {
      return clock.signalInUse;
    },
  };
}
