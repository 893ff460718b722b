import type { Socket } from 'node:net';
import { getBuiltinModule } from 'node:process';

import { sessionBusSockets } from './address.js';
import { MalformedMessage } from './malformed-message.js';
import { decodeMessage, encodeMessage, messageLength } from './message.js';
import type { Message } from './message.js';
import type { Value } from './wire.js';

/**
 * `unreachable`: no bus; `silent`: a bus that never answered; `timeout`: a callee that did not;
 * `error`: an error reply, by its D-Bus name; `broken`: the connection ended, or what came is no D-Bus.
 */
export type BusFailure = 'unreachable' | 'silent' | 'timeout' | 'error' | 'broken';

export class BusError extends Error {
  readonly failure: BusFailure;
  readonly errorName: string;

  constructor(failure: BusFailure, message: string, options: { errorName?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.failure = failure;
    this.errorName = options.errorName ?? '';
  }
}

export type MethodCall = Pick<
  Message,
  'destination' | 'path' | 'interface' | 'member' | 'signature' | 'body'
>;

/** Milliseconds; or starts a wait that calls `giveUp` at its end, and returns what stops it. */
export type Wait = number | ((giveUp: () => void) => () => void);

export type SignalMatch = Required<Pick<Message, 'path' | 'interface' | 'member'>>;

interface Waiter {
  readonly wants: (message: Message) => boolean;
  readonly resolve: (body: readonly Value[]) => void;
  readonly reject: (error: BusError) => void;
}

/**
 * All that the client says before its first message, at once. The bus takes our user id from the socket itself (an
 * empty DATA), so it is right in user namespaces too.
 */
const greeting = Buffer.from('\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n');
const longestGreeting = 4096;

export const busDaemon = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

/**
 * A connection to the session bus. Calls may be made at once and several at a time; they are sent in order as soon as
 * the bus accepts the connection, and a bus that cannot be had fails them.
 */
export class Bus {
  readonly #untried: string[];
  readonly #waiters = new Set<Waiter>();
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #unsent: Buffer[] | undefined = [];
  #silent = true;
  #lastSerial = 0;
  #end: BusError | undefined;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#untried = sessionBusSockets(env);
    this.#send({ ...busDaemon, member: 'Hello' });
    this.#connectToNext('no address of a bus');
  }

  call(method: MethodCall, wait: Wait): Promise<readonly Value[]> {
    const serial = this.#send(method);
    return this.#waitFor(({ replySerial }) => replySerial === serial, wait);
  }

  /** The body of the next such signal; the bus delivers those for which AddMatch was called. */
  signal(match: SignalMatch, wait: Wait): Promise<readonly Value[]> {
    return this.#waitFor(
      (message) =>
        message.kind === 'signal' &&
        message.path === match.path &&
        message.interface === match.interface &&
        message.member === match.member,
      wait,
    );
  }

  /** Nothing has come yet, not even from the bus itself. */
  get isSilent(): boolean {
    return this.#silent;
  }

  /** Gives up whatever is still open; the other side learns of it by the closed socket. */
  close(): void {
    this.#fail(new BusError('broken', 'the connection was closed'));
  }

  #connectToNext(obstacle: string, cause?: unknown): void {
    const path = this.#untried.shift();
    if (path === undefined) {
      this.#fail(new BusError('unreachable', obstacle, { cause }));
      return;
    }
    // Where the sessions are in a file, no start of ours has to load this.
    const socket = getBuiltinModule('node:net').connect({ path });
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    const lose = (reason: string, error?: unknown): void => {
      if (this.#end || this.#socket !== socket) return;
      socket.destroy();
      // What is not even a bus leaves the next address to be tried.
      if (this.#unsent) this.#connectToNext(reason, error);
      else this.#fail(new BusError('broken', reason, { cause: error }));
    };
    socket.on('error', (error) => lose('code' in error ? String(error.code) : error.message, error));
    socket.on('close', () => lose('the bus closed the connection'));
    socket.on('connect', () => socket.write(greeting));
    socket.on('data', (chunk) => {
      try {
        this.#receive(chunk);
      } catch (error) {
        if (!(error instanceof MalformedMessage)) throw error;
        lose(error.message, error);
      }
    });
  }

  #send(method: MethodCall): number {
    this.#lastSerial += 1;
    const bytes = encodeMessage({ ...method, kind: 'call', serial: this.#lastSerial });
    if (this.#unsent) this.#unsent.push(bytes);
    else this.#socket?.write(bytes);
    return this.#lastSerial;
  }

  #waitFor(wants: Waiter['wants'], wait: Wait): Promise<readonly Value[]> {
    return new Promise((resolve, reject) => {
      if (this.#end) {
        reject(this.#end);
        return;
      }
      const giveUp = (): void => {
        this.#waiters.delete(waiter);
        reject(new BusError(this.#silent ? 'silent' : 'timeout', 'no answer in time'));
      };
      const stopWaiting = typeof wait === 'number' ? startTimer(giveUp, wait) : wait(giveUp);
      const waiter: Waiter = {
        wants,
        resolve: (body) => {
          stopWaiting();
          resolve(body);
        },
        reject: (error) => {
          stopWaiting();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#unsent) this.#readGreeting();
    if (!this.#unsent) this.#readMessages();
  }

  #readGreeting(): void {
    const text = this.#received.toString('latin1', 0, longestGreeting);
    const lines = text.split('\r\n').slice(0, -1);
    const reply = lines.find((line) => !line.startsWith('DATA'));
    if (reply?.startsWith('OK')) {
      this.#received = this.#received.subarray(text.indexOf(reply) + reply.length + 2);
      this.#socket?.write(Buffer.concat(this.#unsent ?? []));
      this.#unsent = undefined;
    } else if (reply?.startsWith('REJECTED')) {
      throw new MalformedMessage('it refused this user');
    } else if (reply !== undefined || this.#received.length > longestGreeting) {
      throw new MalformedMessage('what listens there is no bus');
    }
  }

  #readMessages(): void {
    for (;;) {
      const length = messageLength(this.#received);
      if (length === undefined || this.#received.length < length) return;
      const message = decodeMessage(this.#received.subarray(0, length));
      this.#received = this.#received.subarray(length);
      this.#silent = false;
      this.#deliver(message);
    }
  }

  #deliver(message: Message): void {
    for (const waiter of this.#waiters) {
      if (!waiter.wants(message)) continue;
      this.#waiters.delete(waiter);
      if (message.kind === 'error') {
        const errorName = message.errorName ?? '';
        waiter.reject(new BusError('error', `the callee answered ${errorName}`, { errorName }));
      } else {
        waiter.resolve(message.body ?? []);
      }
    }
  }

  #fail(error: BusError): void {
    this.#end ??= error;
    const socket = this.#socket;
    // Not at once: who has what it came for may end the process sooner, and need not pay a millisecond for this.
    setImmediate(() => socket?.destroy());
    for (const waiter of this.#waiters) waiter.reject(this.#end);
    this.#waiters.clear();
  }
}

function startTimer(giveUp: () => void, timeoutMs: number): () => void {
  const timer = setTimeout(giveUp, timeoutMs);
  return () => clearTimeout(timer);
}
