import { AuthError } from '../errors.js';

/** Whether the person has typed a value, or something that came before has set the environment. */
export type Origin = 'typed' | 'environment';

/** One option as people see it. Its flag is the key in kebab-case, its environment twin `AUTHCLI_` and the key in capitals. */
export interface OptionSpec {
  readonly short?: string;
  /** The name of the value in the help; an option without one is a switch. */
  readonly value?: string;
  readonly list?: true;
  readonly choices?: readonly string[];
  /** Throws a plain Error whose message says what was expected. */
  readonly parse?: (text: string, origin: Origin) => unknown;
  /** Switches have an environment twin only where this says so. */
  readonly twin?: true;
  /** The environment twin does not count where one of these stands on the command line. */
  readonly unless?: readonly string[];
  readonly summary: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S extends { readonly value: string }
  ? S extends { readonly list: true }
    ? readonly ParsedOf<S>[]
    : ParsedOf<S>
  : boolean;
type ParsedOf<S extends OptionSpec> = S extends { readonly parse: (text: string, origin: Origin) => infer T }
  ? T
  : S extends { readonly choices: readonly (infer C)[] }
    ? C
    : string;

export type OptionValues<T extends OptionTable> = { readonly [K in keyof T]?: ValueOf<T[K]> | undefined };

/** What a parser of the command line found, by key: texts and switches as they stand there. */
export type RawOptions = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Command line before environment; every value checked before anything is done. */
export function readOptions<T extends OptionTable>(
  table: T,
  raw: RawOptions,
  env: Environment,
): OptionValues<T>;
export function readOptions(table: OptionTable, raw: RawOptions, env: Environment): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(table).map(([key, spec]) => [key, readOption(key, spec, raw, env)]),
  );
}

/**
 * What `NAME`, `--flag`, `--flag VALUE`, `-f` and `-f VALUE` say; undefined for anything else, which is then for the command
 * tree to understand or to complain about.
 */
export function parsePlainly(
  argv: readonly string[],
  name: string,
  globals: OptionTable,
  own: OptionTable,
): RawOptions | undefined {
  const table = { ...globals, ...own };
  const keys = new Map<string, string>();
  for (const [key, { short }] of Object.entries(table)) {
    keys.set(flagOf(key), key);
    if (short !== undefined) keys.set(`-${short}`, key);
  }
  const raw: Record<string, string | true> = {};
  const words = argv[Symbol.iterator]();
  let isNamed = false;
  for (const word of words) {
    const key = keys.get(word);
    if (key === undefined) {
      if (word !== name || isNamed) return undefined;
      isNamed = true;
    } else if (!isNamed && !(key in globals)) {
      return undefined;
    } else if (table[key]?.value === undefined) {
      raw[key] = true;
    } else {
      const { value, done } = words.next();
      if (done || value.startsWith('-') || table[key].list) return undefined;
      raw[key] = value;
    }
  }
  return isNamed ? raw : undefined;
}

export function flagOf(key: string): string {
  return `--${kebab(key)}`;
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const unitMs: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

export function duration(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const milliseconds = Number(amount) * (unitMs.get(unit) ?? Number.NaN);
  // Timers cannot wait for longer than 24 days, and nobody does.
  if (!(milliseconds <= 86_400_000)) throw new Error('a duration of up to 24h, such as 90s, 5m or 1h');
  return milliseconds;
}

export function longerThanZero(text: string): number {
  const milliseconds = duration(text);
  if (milliseconds === 0) throw new Error('a duration longer than zero');
  return milliseconds;
}

function readOption(key: string, spec: OptionSpec, raw: RawOptions, env: Environment): unknown {
  const given = raw[key];
  const isOverruled = spec.unless?.some((other) => (raw[other] ?? false) !== false) ?? false;
  const twin = twinOf(key);
  const twinValue = isOverruled ? undefined : env[twin];
  if (spec.value === undefined) return given === true || (spec.twin === true && isYes(twinValue));
  const fromEnvironment = given === undefined;
  const texts = fromEnvironment ? twinTexts(spec, twinValue) : [given].flat().map(String);
  const where = fromEnvironment ? twin : flagOf(key);
  const origin = fromEnvironment ? 'environment' : 'typed';
  const parsed = texts.map((text) => parseValue(spec, text, origin, where));
  return spec.list ? (parsed.length > 0 ? parsed : undefined) : parsed.at(-1);
}

function twinTexts({ list }: OptionSpec, text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  return list ? text.split(/\s+/).filter(Boolean) : [text];
}

function parseValue({ choices, parse }: OptionSpec, text: string, origin: Origin, where: string): unknown {
  if (choices !== undefined && !choices.includes(text)) {
    throw new AuthError('usage', `${where} must be one of ${choices.join(', ')}`);
  }
  try {
    return parse === undefined ? text : parse(text, origin);
  } catch (error) {
    if (error instanceof AuthError) throw error;
    throw new AuthError('usage', `${where} must be ${error instanceof Error ? error.message : 'valid'}`);
  }
}

export function twinOf(key: string): string {
  return `AUTHCLI_${kebab(key).replaceAll('-', '_').toUpperCase()}`;
}

function isYes(text: string | undefined): boolean {
  return text !== undefined && text !== '' && text !== '0' && text !== 'false';
}
