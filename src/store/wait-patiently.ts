import { keychainSilenceMs } from '../time-budgets.js';
import type { Patience } from './keychain.js';

/** How long a keychain was waited for. */
export interface Waited {
  readonly timeoutMs: number;
  /** There was time for a person to answer a dialog. */
  readonly isExtended: boolean;
}

export interface Ends {
  /** The patience is over. */
  readonly giveUp: (waited: Waited) => void;
  /** The person, or the system, wants the program to end. */
  readonly interrupt: (reason: unknown) => void;
}

/**
 * Waits for a keychain. Where it is silent for long, a person gets the time to answer its dialog.
 * @returns stops the wait
 */
export function waitPatiently(patience: Patience, { giveUp, interrupt }: Ends): () => void {
  const { timeoutMs } = patience;
  const silenceMs = Math.min(timeoutMs, keychainSilenceMs);
  let signal: AbortSignal | undefined;
  const onAbort = (): void => {
    stop();
    interrupt(signal?.reason);
  };
  const stop = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  const askForMore = (): void => {
    const moreMs = patience.extend?.();
    listen();
    if (signal?.aborted) onAbort();
    else if (moreMs === undefined) wait(timeoutMs - silenceMs, { timeoutMs, isExtended: false });
    else wait(moreMs, { timeoutMs: silenceMs + moreMs, isExtended: true });
  };
  const listen = (): void => {
    signal?.removeEventListener('abort', onAbort);
    ({ signal } = patience);
    signal?.addEventListener('abort', onAbort);
  };
  const wait = (restMs: number, waited: Waited): void => {
    timer = setTimeout(giveUp, restMs, waited);
  };
  listen();
  let timer = signal?.aborted ? setTimeout(onAbort, 0) : setTimeout(askForMore, silenceMs);
  return stop;
}

export function within({ timeoutMs }: Waited): string {
  return `within ${Math.round(timeoutMs / 100) / 10} s`;
}
