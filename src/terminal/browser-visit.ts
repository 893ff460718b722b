import type { RefusedCaller } from '../client/interactive.js';
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

/** Says it once for each kind: another user, or a connection whose user is not known. */
export function refusedCallerWarning(terminal: Terminal): (caller: RefusedCaller, remedy: string) => void {
  const warned = new Set<boolean>();
  return ({ uid, name }, remedy) => {
    const isKnown = uid !== undefined;
    if (warned.has(isKnown)) return;
    warned.add(isKnown);
    const user = name === undefined ? `uid ${uid}` : `uid ${uid}, ${name}`;
    const reason = isKnown
      ? `it came from another user of this machine (${user})`
      : 'the system does not say which user it came from';
    terminal.warn(`an answer was not taken: ${reason}; still waiting. If it was yours, ${remedy}`);
  };
}
