import type { Chance } from './chance.js';
import { hostileNames, hostileTexts } from './hostile-text.js';

/** One `name=value` as it is sent. */
type Pair = string;

/** The query of a good authorization response after none to three changes, each of which may well leave it good. */
export function mutatedQuery(good: Readonly<Record<string, string>>, chance: Chance): Buffer {
  let pairs: readonly Pair[] = Object.entries(good).map(([name, value]) => pairOf(name, value));
  for (let left = chance.pick([0, 1, 1, 1, 1, 2, 2, 3]); left > 0; left--) {
    pairs = chance.pick(changes)(pairs, chance.below(pairs.length), chance, good);
  }
  const query = Buffer.from(chance.happens(0.95) ? pairs.join('&') : chance.pick(joinings)(pairs));
  return chance.happens(0.1) ? chance.pick(spoilings)(query, chance) : query;
}

function pairOf(name: string, value: string): Pair {
  return new URLSearchParams([[name, value]]).toString();
}

type Change = (
  pairs: readonly Pair[],
  at: number,
  chance: Chance,
  good: Readonly<Record<string, string>>,
) => readonly Pair[];

const changes: readonly Change[] = [
  (pairs, at) => pairs.toSpliced(at, 1),
  (pairs, at, chance) => withPair(pairs, at, ([name]) => pairOf(name, chance.pick(hostileTexts))),
  (pairs, at, chance) => withPair(pairs, at, ([name, value]) => pairOf(name, edited(value, chance))),
  (pairs, at, chance) => withPair(pairs, at, ([name, value]) => pairOf(edited(name, chance), value)),
  (pairs, at, chance) =>
    withPair(pairs, at, ([name, value]) => `${name}=${value}${chance.pick(oddEncodings)}`),
  (pairs, at) => withPair(pairs, at, ([name, value]) => `${spelledOut(name)}=${spelledOut(value)}`),
  (pairs, at, chance) => withPair(pairs, at, ([name]) => chance.pick([name, `${name}=`])),
  (pairs, at, chance) => pairs.toSpliced(chance.below(pairs.length), 0, pairs[at] ?? ''),
  (pairs, at, chance) => {
    const [name = ''] = pairs[at]?.split('=') ?? [];
    return pairs.toSpliced(at + chance.below(2), 0, pairOf(name, chance.pick(['', 'x', ...hostileTexts])));
  },
  (pairs, at, chance) => pairs.toSpliced(at, 0, pairOf(chance.pick(hostileNames), chance.pick(hostileTexts))),
  (pairs, at, chance) => pairs.toSpliced(at, 0, chance.pick(strangers)),
  (pairs, at, chance) => pairs.toSpliced(at, 0, chance.pick(strangers)),
  (pairs, _at, chance, good) => [
    ...pairs,
    pairOf('iss', `${good['iss']}${chance.pick(['/', '1', '', '#'])}`),
  ],
  (pairs, _at, chance) => [
    ...pairs.filter((pair) => !pair.startsWith('code=')),
    pairOf('error', chance.pick([...errors, ...hostileNames])),
    pairOf('error_description', `${'x'.repeat(chance.below(510))}${chance.pick(hostileTexts)}`),
  ],
  (pairs, _at, chance) => chance.shuffled(pairs),
];

const errors: readonly string[] = [
  'access_denied',
  'consent_required',
  'invalid_scope',
  'login_required',
  'server_error',
  'temporarily_unavailable',
  'Access_Denied',
  '',
];

/** What does not belong to a response of ours; most of it is to be ignored (RFC 6749 4.1.2). */
const strangers: readonly Pair[] = [
  'session_state=x',
  'scope=openid',
  'foo',
  'foo=',
  '=foo',
  'code_challenge=x',
  'access_token=x',
  'token_type=Bearer',
  'id_token=x',
  'token=x',
  'response=e30.e30.e30',
  'response=',
  'error=',
  'error_description=x',
  'code[]=x',
  'redirect=https://evil.test',
  'error_uri=javascript:alert(1)',
  'state[]=x',
  '%00=%00',
  'iss',
];

const oddEncodings: readonly string[] = [
  '%',
  '%zz',
  '%2',
  '%u0041',
  '%c0%80',
  '%e2%82',
  '%ff',
  '%00',
  '%0d%0a',
  '%2B',
  '+',
  '%20',
  '%25',
  '%2541',
  '?',
  '/',
  ';',
  '=',
  '==',
  '"',
  '<',
  '{',
  '|',
  '\\',
  '^',
  '`',
  "'",
  '@',
  ':',
  '%f0%9f%92%a5',
  '%ed%a0%80',
];

function withPair(
  pairs: readonly Pair[],
  at: number,
  change: (parts: readonly [name: string, value: string]) => Pair,
): readonly Pair[] {
  return pairs.map((pair, index) => {
    if (index !== at) return pair;
    const [name, value] = new URLSearchParams(pair).entries().next().value ?? ['', ''];
    return change([name, value]);
  });
}

function edited(text: string, chance: Chance): string {
  const at = chance.below(text.length + 1);
  return chance.pick(
    [
      text.slice(0, at) + chance.pick(hostileTexts) + text.slice(at),
      text.slice(0, at) + text.slice(at + 1),
      `${text}${text.slice(0, at)}`,
      `${text.toUpperCase()}!`,
      `${text.toLowerCase()}!`,
      'a'.repeat(chance.pick([100, 8_192, 15_000, 20_000])),
    ].map((changed) => changed || 'x'),
  );
}

/** The same text, every octet of it percent-encoded. */
function spelledOut(text: string): string {
  return Array.from(Buffer.from(text), (octet) => `%${octet.toString(16).padStart(2, '0')}`).join('');
}

const joinings: readonly ((pairs: readonly Pair[]) => string)[] = [
  (pairs) => pairs.join('&&'),
  (pairs) => `&${pairs.join('&')}&`,
  (pairs) => pairs.join(';'),
  (pairs) => pairs.join('&amp;'),
  (pairs) => `?${pairs.join('&')}`,
  (pairs) => `${pairs.join('&')}#_=_`,
];

const spoilings: readonly ((query: Buffer, chance: Chance) => Buffer)[] = [
  (query, chance) => query.subarray(0, chance.below(query.length)),
  (query, chance) => {
    const flipped = Buffer.from(query);
    const at = chance.below(query.length);
    flipped[at] = (query[at] ?? 0) ^ (1 << chance.below(8));
    return flipped;
  },
  (query, chance) => {
    const at = chance.below(query.length);
    return Buffer.concat([query.subarray(0, at), Buffer.from([chance.below(256)]), query.subarray(at)]);
  },
  (query, chance) =>
    Buffer.concat([query, Buffer.from(`&pad=${'p'.repeat(chance.pick([14_000, 17_000, 70_000]))}`)]),
];
