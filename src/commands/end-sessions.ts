import type { AuthClient } from '../client/auth-client.js';
import { findOwner } from '../client/find-owner.js';
import type { EndSessionConversation, SessionEnd } from '../client/end-session.js';
import type { SignedOut } from '../client/sign-out.js';
import { AuthError } from '../errors.js';
import type { KnownProviders } from '../providers/resolve-provider.js';
import { refusedCallerWarning, showVisit, warnNotLaunched } from '../terminal/browser-visit.js';
import type { Terminal } from '../terminal/terminal.js';
import type { Context } from './command.js';

/** One visit for each provider: the browser is signed in there once, whoever of several accounts that is. Two may share a name. */
export async function endSessions(
  client: AuthClient,
  signedOut: readonly SignedOut[],
  known: KnownProviders,
  browser: string | undefined,
  { terminal }: Context,
): Promise<void> {
  const sessions = signedOut.map(({ session }) => session);
  const visits = new Map(sessions.map((one) => [`${one.provider} ${one.issuer}`, one]));
  for (const session of visits.values()) {
    const { provider: name, issuer, clientId, account } = session;
    const logoutHint = account.email ?? account.username ?? account.sub ?? undefined;
    try {
      const provider = findOwner(known, session) ?? { name, issuer, clientId };
      const end = await client.endSession(provider, { logoutHint, browser }, showEndSession(name, terminal));
      reportEnd(name, end, terminal);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      terminal.warn(`not known to be signed out at ${name}: ${error.message}`);
    }
  }
}

function showEndSession(name: string, terminal: Terminal): EndSessionConversation {
  const warnOfCaller = refusedCallerWarning(terminal);
  return {
    endSessionUrl: (url, isManual) => showVisit(`Signing out at ${name}`, url, isManual, terminal),
    browserNotLaunched: (reason) => warnNotLaunched(reason, terminal),
    refusedCaller: (caller) => warnOfCaller(caller, 'use a browser that runs as this user'),
  };
}

function reportEnd(name: string, end: SessionEnd, terminal: Terminal): void {
  switch (end) {
    case 'ended':
      return terminal.notice(`Signed out at ${name} too.`, { text: '✓', style: 'green' });
    case 'unconfirmed':
      return terminal.warn(`not known to be signed out at ${name}: the browser came back without our state`);
    case 'left_to_browser':
      return terminal.notice(`${name} does the rest in the browser.`);
    case 'unsupported':
      return terminal.notice(`${name} has no end session endpoint: its own session in the browser goes on.`);
  }
}
