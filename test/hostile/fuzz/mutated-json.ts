import type { Chance } from './chance.js';
import { hostileNames, hostileTexts } from './hostile-text.js';
import { objectOf, textOf, type Member, type ObjectPiece, type Piece } from './json-text.js';

/** Raw values that are only of interest in the member of that name. */
export type SpecialValues = Readonly<Record<string, readonly string[]>>;

/** A known good document after none to three changes, each of which may well leave it good. */
export function mutatedJson(good: object, special: SpecialValues, chance: Chance): Buffer {
  const isSpecial = chance.happens(0.35);
  let document = isSpecial ? withSpecialValue(objectOf(good), special, chance) : objectOf(good);
  for (let left = chance.pick(isSpecial ? [0, 0, 0, 1] : [0, 1, 1, 1, 1, 1, 2, 2, 3]); left > 0; left--) {
    document = changed(document, special, chance);
  }
  const text = Buffer.from(textOf(document, chance.happens(0.1) ? chance.pick([' ', '\n', '\r\n\t']) : ''));
  return chance.happens(0.15) ? chance.pick(spoilings)(text, chance) : text;
}

/** All special values are equally likely. It does not matter how deep their member lies, nor whether the document has it. */
function withSpecialValue(document: ObjectPiece, special: SpecialValues, chance: Chance): ObjectPiece {
  const all = Object.entries(special).flatMap(([name, values]) => values.map((value) => ({ name, value })));
  const { name, value } = chance.pick(all);
  const next = withValue(document, name, value);
  if (textOf(next) !== textOf(document)) return next;
  return { members: [...document.members, [JSON.stringify(name), value]] };
}

function withValue({ members }: ObjectPiece, name: string, value: string): ObjectPiece {
  return {
    members: members.map(([rawName, inner]) => {
      if (textOfRaw(rawName) === name) return [rawName, value];
      const isObject = typeof inner === 'object' && 'members' in inner;
      return [rawName, isObject ? withValue(inner, name, value) : inner];
    }),
  };
}

type Change = (members: readonly Member[], at: number, special: SpecialValues, chance: Chance) => Member[];

function changed({ members }: ObjectPiece, special: SpecialValues, chance: Chance): ObjectPiece {
  const known = members.flatMap(([name], at) => (Object.hasOwn(special, textOfRaw(name)) ? [at] : []));
  const at = known.length > 0 && chance.happens(0.7) ? chance.pick(known) : chance.below(members.length);
  const inner = members[at]?.[1];
  if (typeof inner === 'object' && 'members' in inner && inner.members.length > 0 && chance.happens(0.8)) {
    return { members: withMember(members, at, (name) => [name, changed(inner, special, chance)]) };
  }
  return { members: chance.pick(changes)(members, at, special, chance) };
}

const changes: readonly Change[] = [
  replaced,
  replaced,
  replaced,
  edited,
  edited,
  (members, at) => members.toSpliced(at, 1),
  (members, at, special, chance) => {
    const [name = '""', value = ''] = members[at] ?? [];
    const second: Member = [name, chance.happens(0.3) ? value : newValue(name, special, chance)];
    return members.toSpliced(at + chance.below(2), 0, second);
  },
  (members, at, _special, chance) =>
    members.toSpliced(at, 0, [JSON.stringify(chance.pick(hostileNames)), chance.pick(hostileValues)]),
  (members, at, _special, chance) => withMember(members, at, (name, value) => [renamed(name, chance), value]),
  (members, at, _special, chance) => {
    const other = chance.below(members.length);
    const [mine, theirs] = [members[at]?.[1] ?? '', members[other]?.[1] ?? ''];
    return withMember(
      withMember(members, at, (name) => [name, theirs]),
      other,
      (name) => [name, mine],
    );
  },
  (members, at) =>
    withMember(members, at, (name, value) => [
      escaped(name),
      typeof value === 'string' ? escaped(value) : value,
    ]),
  (members, _at, _special, chance) => chance.shuffled(members),
];

function replaced(members: readonly Member[], at: number, special: SpecialValues, chance: Chance): Member[] {
  return withMember(members, at, (name) => [name, newValue(name, special, chance)]);
}

function edited(members: readonly Member[], at: number, _special: SpecialValues, chance: Chance): Member[] {
  return withMember(members, at, (name, value) => [name, editedValue(value, chance)]);
}

function withMember(
  members: readonly Member[],
  at: number,
  change: (name: string, value: Piece) => Member,
): Member[] {
  return members.map(([name, value], index) => (index === at ? change(name, value) : [name, value]));
}

function textOfRaw(rawText: string): string {
  try {
    return String(JSON.parse(rawText));
  } catch {
    // An earlier change has spoilt it.
    return rawText;
  }
}

function newValue(name: string, special: SpecialValues, chance: Chance): string {
  const own = Object.hasOwn(special, textOfRaw(name)) ? special[textOfRaw(name)] : undefined;
  return own !== undefined && chance.happens(0.6) ? chance.pick(own) : chance.pick(hostileValues);
}

function renamed(name: string, chance: Chance): string {
  const plain = textOfRaw(name);
  return JSON.stringify(
    chance.pick([
      plain.toUpperCase(),
      `${plain} `,
      `${plain}\u0000`,
      `${plain}2`,
      `${plain}.2`,
      plain.slice(1),
      `../${plain}`,
      `${plain}/../x`,
      `${plain}..x`,
      `-${plain}`,
      'n'.repeat(64),
      'n'.repeat(65),
    ]),
  );
}

function editedValue(value: Piece, chance: Chance): Piece {
  if (typeof value !== 'string') {
    if ('members' in value) return chance.pick(['[]', '{}', `[${textOf(value)}]`]);
    const { items } = value;
    const at = chance.below(items.length + 1);
    return {
      items: chance.pick<readonly Piece[]>([
        items.toSpliced(at, 1),
        items.toSpliced(at, 0, chance.pick(hostileValues)),
        chance.shuffled(items),
        [...items, ...items],
      ]),
    };
  }
  if (!value.startsWith('"')) {
    return chance.pick([`-${value}`, `${value}0`, `${value}.5`, `${value}e3`, `"${value}"`, `[${value}]`]);
  }
  const text = textOfRaw(value);
  const at = chance.below(text.length + 1);
  return chance.pick([
    () => JSON.stringify(text.slice(0, at) + chance.pick(hostileTexts) + text.slice(at)),
    () => JSON.stringify(text.slice(0, at)),
    () => JSON.stringify(text.slice(0, at) + text.slice(at + 1)),
    () => JSON.stringify(chance.pick([text.toUpperCase(), text.toLowerCase(), text + text, ` ${text}`])),
    () => `[${value}]`,
    () => `{"value":${value}}`,
  ])();
}

/** The same text in other letters. */
function escaped(rawText: string): string {
  if (!rawText.startsWith('"')) return rawText;
  const units = textOfRaw(rawText).split('');
  return `"${units.map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

const hostileValues: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '3.7',
  '1e12',
  '1e400',
  '-1e400',
  '1e-400',
  '9007199254740993',
  '123456789012345678901234567890',
  'NaN',
  'Infinity',
  'undefined',
  '01',
  '0x10',
  '""',
  '" "',
  '"0"',
  '"-1"',
  '"NaN"',
  '"null"',
  '"true"',
  "'single'",
  '"open',
  '',
  '[]',
  '{}',
  '[null]',
  '[[]]',
  '[{}]',
  '{"toString":1}',
  '{"__proto__":{"polluted":true}}',
  '{"length":-1}',
  '{"toString":null,"valueOf":null}',
  '{"then":1}',
  '{"a":1,"a":2}',
  ...hostileTexts.map((text) => JSON.stringify(text)),
  ...[20, 1_000, 20_000].map(nested),
  '{"a":'.repeat(5_000) + '1' + '}'.repeat(5_000),
];

type Spoiling = (text: Buffer, chance: Chance) => Buffer;

const around =
  (before: string, after: string): Spoiling =>
  (text) =>
    Buffer.concat([Buffer.from(before), text, Buffer.from(after)]);

function inserted(text: Buffer, at: number, what: Buffer): Buffer {
  return Buffer.concat([text.subarray(0, at), what, text.subarray(at)]);
}

/** What happens to the text as a whole. */
const spoilings: readonly Spoiling[] = [
  (text, chance) => text.subarray(0, chance.below(text.length)),
  bitFlipped,
  bitFlipped,
  bitFlipped,
  (text, chance) => inserted(text, chance.below(text.length), Buffer.from([chance.below(256)])),
  (text, chance) => inserted(text, chance.below(text.length), chance.pick(notUtf8)),
  (text, chance) => inserted(text, chance.below(text.length), Buffer.from(chance.pick(hostileTexts))),
  (text) => Buffer.from(text.toString(), 'utf16le'),
  (text) => inserted(text, text.length - 1, Buffer.from(',')),
  (text) => inserted(text, 1, Buffer.from('/* why not */')),
  (text) => Buffer.from(text.toString().replaceAll('"', "'")),
  around('\uFEFF', ''),
  around('', '\n// the end\n'),
  around('', ' \r\n\t'),
  around('', '\u0000'),
  around('', '{}'),
  around('', '}'),
  around(")]}',\n", ''),
  around('[', ']'),
  around('\u00a0', ''),
  around('<html>', '</html>'),
  around('{"a":'.repeat(30_000), '}'.repeat(30_000)),
  (_text, chance) =>
    Buffer.from(chance.pick(['', ' ', 'null', '[]', '{}', '""', '0', nested(100_000), '['.repeat(100_000)])),
  (text, chance) => text.fill(' ', chance.below(text.length)),
  (text) => Buffer.concat([text, Buffer.alloc(1024 * 1024, ' ')]),
];

/** An overlong NUL, a lone surrogate, a cut letter, a byte that never occurs. */
const notUtf8 = [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff]].map((bytes) => Buffer.from(bytes));

function bitFlipped(text: Buffer, chance: Chance): Buffer {
  const flipped = Buffer.from(text);
  const at = chance.below(text.length);
  flipped[at] = (text[at] ?? 0) ^ (1 << chance.below(8));
  return flipped;
}
