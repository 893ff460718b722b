import type { ChalkInstance } from 'chalk';

import type { AuthError } from '../errors.js';
import type { World } from '../world.js';
import { Redactor } from '../redactor.js';
import { printableJson, redactedLine } from '../remote-text.js';

export interface TerminalOptions {
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly noInput?: boolean | undefined;
}

type Style = 'red' | 'yellow' | 'green' | 'cyan' | 'dim' | 'bold';

/** Everything that people read, on stderr. Lines leave in order; colour is loaded only when there is something to colour. */
export class Terminal {
  readonly #world: World;
  readonly #options: TerminalOptions;
  readonly #redactor = new Redactor();
  #chalk: Promise<ChalkInstance> | undefined;
  #pending = Promise.resolve();
  #around: (write: () => void) => void = (write) => write();

  constructor(world: World, options: TerminalOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** Somebody is there to look at a spinner and to answer. */
  get isInteractive(): boolean {
    const { stderr, env } = this.#world;
    return stderr.isTTY && !isSet(env['CI']) && !this.#options.noInput;
  }

  readonly conceal = (secret: string, publicText?: string): void =>
    this.#redactor.conceal(secret, publicText);

  /**
   * A passphrase never leaves this machine, so that nobody can repeat it. A short one that is a plain word is left: to redact it
   * in our own messages would tell it.
   */
  readonly concealPassphrase = (passphrase: string): void => {
    if (!/^[a-z]{1,7}$/.test(passphrase)) this.conceal(passphrase);
  };

  notice(text: string, label?: { readonly text: string; readonly style: Style }): void {
    if (!this.#options.quiet) this.#line(label?.text, label?.style, this.#shown(text));
  }

  /** The address to visit, which must reach the person even with --quiet. */
  readonly say = (text: string): void => this.#line(undefined, undefined, this.#redactor.redactAddress(text));

  readonly warn = (text: string): void => this.#line('warning:', 'yellow', this.#shown(text));

  readonly hint = (text: string): void => this.#line('hint:', 'cyan', this.#shown(text));

  readonly trace = (text: string): void => {
    if (this.#options.verbose) this.#line('trace:', 'dim', this.#shown(text));
  };

  /** @param shownHint what to do about it, in words */
  fail(error: AuthError, shownHint: string | undefined): void {
    const message = this.#shown(error.message);
    const hint = shownHint === undefined ? undefined : this.#shown(shownHint);
    if (this.#options.json) {
      this.#line(undefined, undefined, printableJson({ error: { code: error.code, message, hint } }));
      return;
    }
    this.#line('error:', 'red', message);
    if (hint !== undefined) this.hint(hint);
  }

  /** What draws on the terminal makes room for each line. */
  around(draw: ((write: () => void) => void) | undefined): void {
    this.#around = draw ?? ((write) => write());
  }

  readonly redact = (text: string): string => this.#redactor.redact(text);

  /** Everything that was said has been written. */
  settled(): Promise<void> {
    return this.#pending;
  }

  #shown(text: string): string {
    return redactedLine(text, this.redact);
  }

  /** @param text redacted by now */
  #line(label: string | undefined, style: Style | undefined, text: string): void {
    const write = (shown: string | undefined) =>
      this.#around(() => this.#world.stderr.write(`${shown ? `${shown} ` : ''}${text}\n`));
    this.#pending = this.#pending.then(async () => {
      write(label && style && this.hasColour ? (await this.#loadChalk())[style](label) : label);
    });
  }

  get hasColour(): boolean {
    const { env } = this.#world;
    return this.isInteractive && !isSet(env['NO_COLOR']) && env['TERM'] !== 'dumb';
  }

  #loadChalk(): Promise<ChalkInstance> {
    return (this.#chalk ??= import('./colours.js').then(({ sixteenColours }) => sixteenColours()));
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
