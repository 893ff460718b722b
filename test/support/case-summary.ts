import { readFileSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';

import type { Reporter, TestModule } from 'vitest/node';

import { notHere } from '../hostile/not-here.js';

const areas: Readonly<Record<string, string>> = {
  LST: 'listener',
  BRW: 'browser launch',
  DSC: 'discovery',
  AUR: 'authorization response',
  TOK: 'token response',
  IDT: 'ID token',
  REF: 'refresh',
  CON: 'concurrency',
  STO: 'store',
  OUT: 'sign-out',
  DEV: 'device flow',
  CLI: 'command line',
  CFG: 'configuration',
  NET: 'network',
  LEK: 'leaks',
};

const place = /(?<=<!-- cases: .* -->\n)[^]*(?=<!-- \/cases -->)/;

interface Case {
  readonly titles: Set<string>;
  tests: number;
  failed: number;
}

/**
 * One line for each area of hostile cases, whose ids begin the titles of their tests: `LST-12, LST-13: …`. A whole run at full
 * length writes the table of all cases into the document that AUTHCLI_HOSTILE_REPORT names (docs/security.md).
 */
export default class CaseSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const cases = collect(modules);
    process.stdout.write('\nHostile cases\n');
    for (const [prefix, name] of Object.entries(areas)) {
      const own = [...cases].filter(([id]) => id.startsWith(prefix));
      const failed = own.filter(([, { failed: count }]) => count > 0).map(([id]) => id);
      const tests = own.reduce((sum, [, one]) => sum + one.tests, 0);
      const broken = failed.length === 0 ? '' : `, failed: ${failed.join(' ')}`;
      const survived = String(own.length - failed.length).padStart(3);
      process.stdout.write(`  ${name.padEnd(24)}${survived} survived, ${tests} tests${broken}\n`);
    }
    process.stdout.write(`Not here: ${notHere.length}\n`);
    for (const { id, what, reason } of notHere) process.stdout.write(`  ${id} ${what}: ${reason}\n`);
    if (env['AUTHCLI_HOSTILE_REPORT'] !== undefined) writeTable(cases, env['AUTHCLI_HOSTILE_REPORT']);
  }
}

function collect(modules: readonly TestModule[]): Map<string, Case> {
  const cases = new Map<string, Case>();
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      if (test.options.mode === 'skip') continue;
      for (const { ids, title } of caseTitles(test.fullName)) {
        for (const id of ids) {
          const one = cases.get(id) ?? { titles: new Set(), tests: 0, failed: 0 };
          one.titles.add(title);
          one.tests += 1;
          if (test.result().state !== 'passed') one.failed += 1;
          cases.set(id, one);
        }
      }
    }
  }
  return cases;
}

/** The ids that a title begins with; a describe block's title may carry them for all of its tests. */
function caseTitles(fullName: string): { ids: readonly string[]; title: string }[] {
  return fullName.split(' > ').flatMap((part) => {
    const [, ids, title = ''] = /^((?:[A-Z]{3}-\d+(?:, )?)+): (.*)$/s.exec(part) ?? [];
    return ids === undefined ? [] : [{ ids: ids.split(', '), title }];
  });
}

function writeTable(cases: ReadonlyMap<string, Case>, document: string): void {
  const rows = [...cases].map(([id, { titles, tests, failed }]) => {
    const [first = '', ...more] = titles;
    const what = more.length === 0 ? first : `${first} (and ${more.length} more)`;
    return [id, what, failed === 0 ? `✓ ${tests}` : `✗ ${failed} of ${tests}`];
  });
  const others = notHere.map(({ id, what, reason }) => [id, what, `not here: ${reason}`]);
  const sorted = [...rows, ...others].toSorted(
    ([a = ''], [b = '']) => order(a) - order(b) || a.localeCompare(b),
  );
  const lines = sorted.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
  const table = `| case | what happens | tests |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
  writeFileSync(
    document,
    readFileSync(document, 'utf8').replace(place, () => `\n${table}\n`),
  );
}

function order(id: string): number {
  return Object.keys(areas).indexOf(id.slice(0, 3));
}
