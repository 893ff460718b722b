/** What a rule says about an input. Nothing means that it is as it should be. */
export interface Finding {
  /** Open: the RFCs forbid it without asking for a refusal, or say nothing; a refusal and a success are both right. */
  readonly verdict: 'invalid' | 'open';
  readonly rule: string;
}

export type Verdict = 'valid' | Finding['verdict'];

export const invalid = (rule: string): Finding => ({ verdict: 'invalid', rule });
export const open = (rule: string): Finding => ({ verdict: 'open', rule });

export function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.some(({ verdict }) => verdict === 'invalid')) return 'invalid';
  return findings.length > 0 ? 'open' : 'valid';
}
