import { EventEmitter } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Provider } from '../test/support/provider.js';
import { approves } from '../test/support/user-agents.js';
import type { Setting } from './story.js';

const patienceMs = 10_000;
/** For a person who has begun to sign in when the patience is over. */
const morePatienceMs = 8_000;

/** `authcli login`, and a person or a user agent that answers the provider. @returns who it was */
export async function signIn({ stage, shell, provider, store, display }: Setting): Promise<string> {
  stage.say(
    display
      ? `Your browser opens; sign in there. With nobody at it the demo goes on by itself after ${patienceMs / 1000} s.`
      : 'There is no display here: a small headless user agent visits the URL and signs in as Jane.',
  );
  const storeOption = store === 'file' ? ['--store', 'file'] : [];
  const browserOption = display ? [] : ['--no-browser'];
  const client = ['-p', 'demo', '--issuer', provider.issuer, '--client-id', 'cli'];
  const printed = new EventEmitter<{ url: [URL] }>();
  const urlIsPrinted = new Promise<URL>((resolve) => printed.once('url', resolve));
  const login = shell.authcli(['login', ...client, ...storeOption, ...browserOption], 0, (line) => {
    const [url] = /http:\/\/\S+\/auth\?\S+/.exec(line) ?? [];
    if (url !== undefined) printed.emit('url', new URL(url));
  });

  const personSignsIn = display && (await endsByItself(login, provider));
  if (!personSignsIn) {
    const url = await Promise.race([urlIsPrinted, login.then(() => undefined)]);
    if (display) stage.say('Nobody there: a small headless user agent goes on as Jane.');
    await Promise.all([url && approves(url), login]);
  }
  return personSignsIn ? 'in the browser' : 'as Jane through a headless user agent';
}

async function endsByItself(login: Promise<void>, provider: Provider): Promise<boolean> {
  const ended = login.then(() => true);
  const inTime = (milliseconds: number) => Promise.race([ended, wait(milliseconds, false, { ref: false })]);
  if (await inTime(patienceMs)) return true;
  const hasBegun = provider.requests.some(
    ({ method, path }) => method === 'POST' && path.startsWith('/interaction/'),
  );
  return hasBegun && (await inTime(morePatienceMs));
}
