import { setTimeout as wait } from 'node:timers/promises';
import type { Provider } from '../test/support/provider.js';
import { expect, type Shell } from './shell.js';
import { signIn } from './sign-in.js';
import type { Stage } from './stage.js';

export interface Setting {
  readonly stage: Stage;
  readonly shell: Shell;
  readonly provider: Provider;
  readonly store: 'keychain' | 'file';
  readonly display: boolean;
}

/** Seconds: three more than `authcli token` keeps in reserve, so that a renewal is due three seconds after the login. */
export const accessTokenLifetime = 63;
const renewalIsDueAfterMs = (accessTokenLifetime - 60) * 1000 + 500;

/** The main job as a new user goes through it. @returns what was shown, a line each */
export async function tell(setting: Setting): Promise<string[]> {
  const { stage, shell, provider, store } = setting;
  const api = `${provider.issuer}/api/hello`;

  stage.scene('Sign in');
  const browser = await signIn(setting);
  const renewalIsDue = Date.now() + renewalIsDueAfterMs;
  await shell.authcli(['status']);

  stage.scene('Use the token');
  stage.say('Through a pipe, so that the token is in no history and in no list of processes.');
  const first = await shell.callApi(api);

  stage.scene('Let it expire');
  stage.say(
    `The access tokens here live ${accessTokenLifetime} s, and authcli hands out none with less than 60 s left.`,
  );
  stage.say('Some seconds later the same command again:');
  await wait(Math.max(0, renewalIsDue - Date.now()), undefined, { signal: shell.signal });
  const second = await shell.callApi(api);
  expect(
    second !== first && provider.requestsTo('/token').some(isRefresh),
    'the access token was not refreshed',
  );
  stage.say('Nobody was asked: a refresh token bought another access token, and was itself replaced.');

  stage.scene('Sign out');
  stage.command('header=$(authcli token --output header)');
  const copied = await shell.answerOf(['token', '--output', 'header']);
  await shell.authcli(['logout']);
  stage.say('What was copied before the logout is worth nothing now:');
  await shell.callApiInVain(copied, api);
  await shell.authcli(['token'], 4);
  stage.say('Exit code 4: a script can tell that a login is needed.');

  return [
    `signed in ${browser}; the session is sealed, its key is ${whereKeyIs[store]}`,
    'the API accepted the access token from `authcli token`',
    'the expired access token was refreshed silently',
    'signed out; the API and `authcli token` (exit code 4) say so',
  ];
}

const whereKeyIs = {
  keychain: "in the system's keychain",
  file: 'in a file that only you can read (no usable keychain here)',
};

function isRefresh({ parameters }: { readonly parameters: Readonly<Record<string, string>> }): boolean {
  return parameters['grant_type'] === 'refresh_token';
}
