import type { ChalkInstance } from 'chalk';

import type { AuthError } from '../errors.js';
import type { World } from '../world.js';
import type { Redactor } from '../redactor.js';
import { printableJson, redactedLine } from '../remote-text.js';
import { toldOnce } from '../told-once.js';

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
  readonly #secrets = new Map<string, string>();
  #redactor: Promise<Redactor> | undefined;
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

  readonly conceal = (secret: string, publicText = ''): void => {
    this.#secrets.set(secret, publicText);
  };

  /**
   * A passphrase never leaves this machine, so that nobody can repeat it. A short one that is a plain word is left: to redact it
   * in our own messages would tell it.
   */
  readonly concealPassphrase = (passphrase: string): void => {
    if (!/^[a-z]{1,7}$/.test(passphrase)) this.conceal(passphrase);
  };

  notice(text: string, label?: { readonly text: string; readonly style: Style }): void {
    if (!this.#options.quiet) this.#line(label?.text, label?.style, lineOf(text));
  }

  /** The address to visit, which must reach the person even with --quiet. */
  readonly say = (text: string): void =>
    this.#line(undefined, undefined, (redactor) => redactor.redactAddress(text));

  readonly warn = (text: string): void => this.#line('warning:', 'yellow', lineOf(text));

  /** A limit of this machine that --quiet need not hear of; however often it is met, one line tells it. */
  readonly warnOnce = toldOnce((text) => this.notice(text, { text: 'warning:', style: 'yellow' }));

  readonly hint = (text: string): void => this.#line('hint:', 'cyan', lineOf(text));

  readonly trace = (text: string): void => {
    if (this.#options.verbose) this.#line('trace:', 'dim', lineOf(text));
  };

  /** @param shownHint what to do about it, in words */
  fail(error: AuthError, shownHint: string | undefined): void {
    if (this.#options.json) {
      this.#line(undefined, undefined, (redactor) => {
        const message = redactedLine(error.message, redactor.redact);
        const hint = shownHint && redactedLine(shownHint, redactor.redact);
        return printableJson({ error: { code: error.code, message, hint } });
      });
      return;
    }
    this.#line('error:', 'red', lineOf(error.message));
    if (shownHint !== undefined) this.hint(shownHint);
  }

  /** What draws on the terminal makes room for each line. */
  around(draw: ((write: () => void) => void) | undefined): void {
    this.#around = draw ?? ((write) => write());
  }

  /** The text as one line that may be shown. */
  readonly shown = async (text: string): Promise<string> => lineOf(text)(await this.#loadRedactor());

  /** Everything that was said has been written. */
  settled(): Promise<void> {
    return this.#pending;
  }

  #line(label: string | undefined, style: Style | undefined, textBy: (redactor: Redactor) => string): void {
    this.#pending = this.#pending.then(async () => {
      const text = textBy(await this.#loadRedactor());
      const shown = label && style && this.hasColour ? (await this.#loadChalk())[style](label) : label;
      this.#around(() => this.#world.stderr.write(`${shown ? `${shown} ` : ''}${text}\n`));
    });
  }

  get hasColour(): boolean {
    const { env } = this.#world;
    return this.isInteractive && !isSet(env['NO_COLOR']) && env['TERM'] !== 'dumb';
  }

  /** Loads what a line needs, for a command that must not fail when the program is replaced while it waits. */
  async load(): Promise<void> {
    await this.#loadRedactor();
    if (this.hasColour) await this.#loadChalk();
  }

  /** A token that is good needs none. */
  #loadRedactor(): Promise<Redactor> {
    return (this.#redactor ??= import('../redactor.js').then(
      ({ Redactor: Loaded }) => new Loaded(this.#secrets),
    ));
  }

  #loadChalk(): Promise<ChalkInstance> {
    return (this.#chalk ??= import('./colours.js').then(({ sixteenColours }) => sixteenColours()));
  }
}

function lineOf(text: string): (redactor: Redactor) => string {
  return ({ redact }) => redactedLine(text, redact);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
