import { env, stdout } from 'node:process';

import { isFull } from '../sizes.js';
import { Chance } from './chance.js';
import { verdictOf, type Finding, type Verdict } from './verdict.js';

const seed = env['AUTHCLI_FUZZ_SEED'] ?? '1';
const onlyIndex = env['AUTHCLI_FUZZ_INDEX'];

/** For the whole campaign: about ten times what it takes. */
export const campaignTimeout = 30 * 60_000;

/** Keeps what is needed to understand a failure. */
export type Note = (what: string, value: unknown) => void;

/**
 * Tries `fully` inputs of one kind (`quickly` in the quick form) and tells what the program did wrong with them. An input
 * follows from seed and index alone: AUTHCLI_FUZZ_SEED and AUTHCLI_FUZZ_INDEX bring one back.
 * @param tryOne tells what the rules say of the input that it tried; throws what the program did wrong
 */
export async function campaign(
  kind: string,
  quickly: number,
  tryOne: (chance: Chance, note: Note) => Promise<readonly Finding[]>,
  fully = 10_000,
): Promise<string> {
  const count = isFull ? fully : quickly;
  const tried: Record<Verdict, number> = { valid: 0, invalid: 0, open: 0 };
  const failures = new Map<string, string[]>();
  const indices = onlyIndex === undefined ? Array(count).keys() : [Number(onlyIndex)];
  for (const index of indices) {
    const notes: string[] = [];
    const note: Note = (what, value) => void notes.push(`  ${what}: ${shortened(value)}`);
    try {
      tried[verdictOf(await tryOne(new Chance(`${seed} ${kind} ${index}`), note))] += 1;
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      const again = `  AUTHCLI_FUZZ_SEED=${seed} AUTHCLI_FUZZ_INDEX=${index}`;
      failures.set(what, [...(failures.get(what) ?? []), [again, ...notes].join('\n')]);
    }
  }
  const told = `${kind}, seed ${seed}: ${tried.valid} valid, ${tried.invalid} invalid, ${tried.open} open`;
  stdout.write(`  ${told}\n`);
  // A generator that only makes one sort would find nothing, and say so of the program.
  const isMixed = onlyIndex !== undefined || Math.min(tried.valid, tried.invalid) > count / 10;
  return failures.size > 0 || isMixed ? described(failures) : `not mixed: ${told}`;
}

/** One example of each way to fail is enough to begin with. */
function described(failures: ReadonlyMap<string, readonly string[]>): string {
  return Array.from(failures, ([what, [first = '', ...more]]) => {
    const others = more.length > 0 ? `  and ${more.length} more\n` : '';
    return `${what}\n${first}\n${others}`;
  }).join('\n');
}

function shortened(value: unknown): string {
  const text = JSON.stringify(Buffer.isBuffer(value) ? value.toString('latin1') : value);
  return text.length > 2_000 ? `${text.slice(0, 1_200)} … ${text.slice(-600)}` : text;
}
