import { AuthError } from '../errors.js';
import { timeLimit } from '../time-limit.js';
import type { World } from '../world.js';
import { monotonicMs } from '../monotonic-time.js';

/** The one deadline and the one signal of a command. All that it waits for counts, however many clients it makes. */
export class CommandClock {
  readonly deadline: Date;
  readonly #world: World;
  readonly #timeoutMs: number;
  readonly #begunAt = monotonicMs();
  #signal: AbortSignal | undefined;

  constructor(world: World, timeoutMs: number) {
    this.#world = world;
    this.#timeoutMs = timeoutMs;
    this.deadline = new Date(world.now().getTime() + timeoutMs);
  }

  /** Ends everything that waits. Made on first use: a token from the cache needs neither timer nor signal handlers. */
  get signal(): AbortSignal {
    return (this.#signal ??= timeLimit(
      this.#world.interruption(),
      this.remainingMs(),
      notFinished(this.#timeoutMs),
    ));
  }

  /** Undefined until something has asked for the signal: till then Ctrl-C ends the process by itself. */
  get signalInUse(): AbortSignal | undefined {
    return this.#signal;
  }

  /** At least one millisecond. */
  remainingMs(): number {
    return Math.max(1, this.#timeoutMs - (monotonicMs() - this.#begunAt));
  }
}

function notFinished(timeoutMs: number): AuthError {
  return new AuthError('timeout', `not finished within ${timeoutMs / 1000} s`, {
    hint: 'allow more time: --timeout 10m',
  });
}
