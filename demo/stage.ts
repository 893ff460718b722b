import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** What a demo shows: headings, explanations, and commands with their output as in a terminal. */
export class Stage {
  readonly #output: Output;
  readonly #styled: boolean;
  #scenes = 0;

  constructor(output: Output, env: Readonly<Record<string, string | undefined>>) {
    this.#output = output;
    this.#styled = output.isTTY === true && !env['NO_COLOR'];
  }

  title(text: string): void {
    this.#line(this.#style('bold', text));
  }

  /** A numbered heading. */
  scene(text: string): void {
    this.#scenes += 1;
    this.heading(`${this.#scenes}. ${text}`);
  }

  heading(text: string): void {
    this.#line(`\n${this.#style(['bold', 'cyan'], text)}`);
  }

  say(text: string): void {
    for (const line of text.split('\n')) this.#line(`   ${this.#style('dim', line)}`);
  }

  command(line: string): void {
    this.#line(`   ${this.#style('green', '$')} ${this.#style('bold', line)}`);
  }

  /** Whole lines, as they come from a program. */
  programOutput(text: string): void {
    for (const line of stripVTControlCharacters(text).replace(/\n$/, '').split('\n'))
      this.#line(`   ${line}`);
  }

  success(text: string): void {
    this.#line(`${this.#style('green', '✓')} ${text}`);
  }

  failure(text: string): void {
    this.#line(`${this.#style('red', '✗')} ${text}`);
  }

  #style(style: Style, text: string): string {
    return this.#styled ? styleText(style, text) : text;
  }

  #line(text: string): void {
    this.#output.write(`${text}\n`);
  }
}
