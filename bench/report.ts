import { cpus, release, type } from 'node:os';
import { version } from 'node:process';
import type { Contest } from './contenders.js';
import type { Contender, Measurement } from './measure.js';

type Results = ReadonlyMap<Contender, Measurement>;
type Quantity = keyof Measurement;

/** Markdown, as it stands in the README. */
export function report(contest: Contest, results: Results, rounds: number): string {
  const bareNode = results.get(contest.bareNode);
  const rows = [...results].map(([{ name }, result]) => {
    const cell = (quantity: Quantity, unit: string, divisor = 1) => {
      const value = result[quantity];
      if (value === undefined) return '–';
      return `${(value / divisor).toFixed(1)} ${unit} (${times(ratio(value, bareNode?.[quantity]))})`;
    };
    return `| ${name} | ${cell('wallMs', 'ms')} | ${cell('cpuMs', 'ms')} | ${cell('peakKb', 'MB', 1024)} |`;
  });
  const [cpu] = cpus();
  return [
    '| command | wall | CPU | peak memory |',
    '|---|--:|--:|--:|',
    ...rows,
    '',
    `Median of ${rounds} interleaved runs, and how many times that of bare Node. ${cpu?.model ?? 'unknown CPU'} x ${cpus().length}, ${type()} ${release()}, Node ${version}.`,
    '',
    ...verdicts(contest, results).map((verdict) => `- ${verdict}`),
    '',
  ].join('\n');
}

function verdicts({ bareNode, sealedFile, keychain, gh }: Contest, results: Results): string[] {
  const against = (contender: Contender | undefined, other: Contender | undefined, quantity: Quantity) =>
    ratio(contender && results.get(contender)?.[quantity], other && results.get(other)?.[quantity]);
  const targets = [
    { name: 'keychain, wall, against bare Node', limit: 1.6, value: against(keychain, bareNode, 'wallMs') },
    {
      name: 'sealed file, wall, against bare Node',
      limit: 1.4,
      value: against(sealedFile, bareNode, 'wallMs'),
    },
    {
      name: 'keychain, memory, against bare Node',
      limit: 1.25,
      value: against(keychain, bareNode, 'peakKb'),
    },
    {
      name: 'sealed file, memory, against bare Node',
      limit: 1.25,
      value: against(sealedFile, bareNode, 'peakKb'),
    },
    { name: 'keychain, wall, against gh auth token', limit: 1, value: against(keychain, gh, 'wallMs') },
  ];
  return targets.map(({ name, limit, value }) => {
    const outcome = value === undefined ? 'not measured here' : value <= limit ? 'met' : 'missed';
    return `${name}: ${times(value)}, at most ${times(limit)}: ${outcome}`;
  });
}

function ratio(value: number | undefined, base: number | undefined): number | undefined {
  return value === undefined || base === undefined ? undefined : value / base;
}

function times(value: number | undefined): string {
  return value === undefined ? '–' : `${value.toFixed(2)}x`;
}
