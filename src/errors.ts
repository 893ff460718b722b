import type { Remedy } from './remedy.js';

/** The failures of the command-line contract; each has one exit code. */
export type ErrorCode =
  | 'bug'
  | 'usage'
  | 'denied'
  | 'login_required'
  | 'protocol'
  | 'network'
  | 'store'
  | 'timeout';

const exitCodes: Readonly<Record<ErrorCode, number>> = {
  bug: 1,
  usage: 2,
  denied: 3,
  login_required: 4,
  protocol: 5,
  network: 6,
  store: 7,
  timeout: 8,
};

export interface AuthErrorOptions {
  /** The way out, as data. */
  readonly remedy?: Remedy | undefined;
  /** The same in words, where it is not data yet. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** See AuthError. */
  readonly isAnswerLost?: boolean | undefined;
}

/** A failure that the person can act on. Anything else that is thrown is a bug of ours. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly code: ErrorCode;
  readonly remedy: Remedy | undefined;
  readonly hint: string | undefined;
  /**
   * True where a request that changes something may have reached the provider, and its answer did not reach us: nobody here
   * knows whether the provider acted on it.
   */
  readonly isAnswerLost: boolean;

  constructor(code: ErrorCode, message: string, options: AuthErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.remedy = options.remedy;
    this.hint = options.hint;
    this.isAnswerLost = options.isAnswerLost ?? false;
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export type EndingSignal = keyof typeof signalNumbers;

/** The person, or the system, wants the program to end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;

  constructor(signal: EndingSignal) {
    super(signal);
    this.exitCode = 128 + signalNumbers[signal];
  }
}

/** The system's name of a failed call: `ENOSPC`, `EACCES`, … */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
