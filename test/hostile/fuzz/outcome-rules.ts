import type { Outcome } from '../../support/run.js';
import { verdictOf, type Finding } from './verdict.js';

/** Those that a failure may end with; 1 is a bug, whatever came in. */
const exitCodes: ReadonlyMap<string, number> = new Map([
  ['usage', 2],
  ['denied', 3],
  ['login_required', 4],
  ['protocol', 5],
  ['network', 6],
  ['store', 7],
  ['timeout', 8],
]);

/** Nothing that moves the cursor, hides, or turns the reading direction. */
export function assertPrintable(text: string): void {
  const inLines = text.replaceAll('\n', '');
  if (/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(inLines)) throw new Error('not printable');
}

/** Throws unless the program ended as its contract says for every input there is. */
export function assertContract({ exitCode, stdout, stderr }: Outcome): void {
  assertPrintable(stderr);
  const labelled = stderr.split('\n').filter((line) => /^(error|hint|warning): /.test(line));
  if (labelled.some((line) => line.length > 520)) throw new Error('a line on stderr has no end');
  if (exitCode === 0) return;
  if (stdout !== '') throw new Error('a failure has answered');
  const last = stderr.trimEnd().split('\n').at(-1) ?? '';
  if (last.startsWith('{')) {
    const { error }: { error: Readonly<Record<string, unknown>> } = JSON.parse(last);
    if (exitCodes.get(String(error['code'])) !== exitCode)
      throw new Error('the code is not that of the exit');
    if (typeof error['message'] !== 'string') throw new Error('the error has no message');
    return;
  }
  if (![...exitCodes.values()].includes(exitCode ?? 1)) throw new Error('no exit code of the contract');
  if (!/(^|\n)error: [^\n]+\n(hint: [^\n]+\n)?$/.test(stderr)) throw new Error('stderr ends in no error');
}

/** Success is for what is valid and for nothing else. */
export function assertJudgement(
  { exitCode }: Outcome,
  findings: readonly Finding[],
  { refusals = [5], success = 0 }: { refusals?: readonly number[]; success?: number } = {},
): void {
  const verdict = verdictOf(findings);
  const expected = { valid: [success], invalid: refusals, open: [success, ...refusals] }[verdict];
  if (expected.includes(exitCode ?? 1)) return;
  const rules = findings.filter((finding) => finding.verdict === verdict).map(({ rule }) => rule);
  const why = rules.length > 0 ? rules.join('; ') : 'nothing is wrong with it';
  throw new Error(`exit ${exitCode} with an input that is ${verdict}: ${why}`);
}
