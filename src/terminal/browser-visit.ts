import type { Terminal } from './terminal.js';

/** The address is said whatever the browser does: it may open elsewhere, or not at all. */
export function showVisit(what: string, url: URL, isManual: boolean, terminal: Terminal): void {
  const advice = isManual ? 'Visit this address' : 'A browser opens now; if none does, visit this address';
  terminal.notice(`${what}. ${advice}:`);
  terminal.say(`\n  ${url.href}\n`);
}

export function warnNotLaunched(reason: string, terminal: Terminal): void {
  terminal.warn(`no browser was started (${reason}): open the address above yourself`);
}
