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
  OUT: 'logout',
  CLI: 'command line',
  CFG: 'configuration',
  NET: 'network',
  LEK: 'leaks',
};

interface Area {
  passed: Set<string>;
  failed: Set<string>;
}

/** One line for each area of hostile cases, whose ids begin the titles of their tests: `LST-12, LST-13: …`. */
export default class CaseSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const found = new Map<string, Area>();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        for (const id of caseIds(test.fullName)) {
          const area = found.get(id.slice(0, 3)) ?? { passed: new Set(), failed: new Set() };
          area[test.result().state === 'passed' ? 'passed' : 'failed'].add(id);
          found.set(id.slice(0, 3), area);
        }
      }
    }
    process.stdout.write('\nHostile cases\n');
    for (const [prefix, name] of Object.entries(areas)) {
      const { passed, failed } = found.get(prefix) ?? {
        passed: new Set<string>(),
        failed: new Set<string>(),
      };
      const survived = [...passed].filter((id) => !failed.has(id)).length;
      const broken = failed.size === 0 ? '' : `, failed: ${[...failed].join(' ')}`;
      process.stdout.write(`  ${name.padEnd(24)}${String(survived).padStart(3)} survived${broken}\n`);
    }
    process.stdout.write('Not here\n');
    for (const { id, what, reason } of notHere) process.stdout.write(`  ${id} ${what}: ${reason}\n`);
  }
}

/** The ids that a title begins with; a describe block's title may carry them for all of its tests. */
function caseIds(fullName: string): string[] {
  return [...fullName.matchAll(/(?:^| > )((?:[A-Z]{3}-\d+(?:, )?)+):/g)].flatMap(
    ([, ids = '']) => ids.match(/[A-Z]{3}-\d+/g) ?? [],
  );
}
