import { describe, expect, test } from 'vitest';

import { forThisTest, keyringInstalled, startKeyring } from './support/keyring.js';
import { login, newcomer } from './support/newcomer.js';
import { requirement } from './support/requirements.js';
import { agent, type Machine } from './support/run.js';
import { atTerminal, scriptInstalled } from './support/terminal.js';

const passphrase = 'correct horse battery staple';
const newPassphrase = 'New passphrase for the sealed sessions: ';
const known = 'Passphrase of the sealed sessions: ';
const again = 'The same again: ';

const timedOut =
  '\nerror: not finished within 1 s\nhint: allow more time: --timeout 10m\nexit code 8\necho\n';
const interrupted = '\nexit code 130\necho\n';

/** Nobody has signed in, and the first sign-in is to seal with a passphrase. */
async function newPerson(): Promise<Machine> {
  return (await newcomer()).machine;
}

/** Whose sessions are sealed with a passphrase, which the environment does not know. */
async function knownPerson(env: Readonly<Record<string, string>> = {}): Promise<Machine> {
  const { machine } = await newcomer({ AUTHCLI_STORE: 'file', AUTHCLI_STORE_PASSPHRASE: passphrase, ...env });
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  return { ...machine, env: { ...machine.env, AUTHCLI_STORE_PASSPHRASE: '' } };
}

describe.skipIf(!requirement('script', scriptInstalled))(
  'a passphrase that is asked for at a terminal',
  () => {
    test('is not shown, and seals the session', async () => {
      const machine = await newPerson();
      const argv = ['login', '-q', '--passphrase', '--prompt', 'consent', '--browser', agent];
      const terminal = atTerminal(argv, machine);
      await terminal.shows(newPassphrase);
      terminal.type(`${passphrase}\r`);
      await terminal.shows(again);
      terminal.type(`${passphrase}\r`);
      expect(await terminal.screen).toMatch(
        new RegExp(`^${newPassphrase}\n${again}\n\n {2}http\\S+\n\nexit code 0\necho\n$`),
      );
      expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 7, stdout: '' });
      expect(await machine.spawn(['token'], { AUTHCLI_STORE_PASSPHRASE: passphrase })).toEqual({
        exitCode: 0,
        stdout: expect.stringMatching(/^\S+\n$/),
        stderr: '',
      });
    });

    test.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
      'is asked for once, however many sessions it opens',
      async () => {
        const keyring = await forThisTest(startKeyring());
        const machine = await knownPerson(keyring.env);
        const argv = ['login', '-q', '--browser', `${agent} --as john@acme.test`];
        expect(await machine.spawn(argv, { AUTHCLI_STORE_PASSPHRASE: passphrase })).toMatchObject({
          exitCode: 0,
        });
        const terminal = atTerminal(['store', 'migrate', 'keychain'], machine);
        await terminal.shows(known);
        terminal.type(`${passphrase}\r`);
        expect(await terminal.screen).toBe(
          `${known}\n✓ 2 sessions moved; all are under the system's keychain now.\nexit code 0\necho\n`,
        );
      },
    );

    test('typed differently the second time seals nothing', async () => {
      const terminal = atTerminal(['login', '--passphrase', '--browser', 'none'], await newPerson());
      await terminal.shows(newPassphrase);
      terminal.type(`${passphrase}\r`);
      await terminal.shows(again);
      terminal.type('something else\r');
      expect(await terminal.screen).toBe(
        `${newPassphrase}\n${again}\nerror: the two passphrases differ\n` +
          'hint: run the same command again\nexit code 2\necho\n',
      );
    });

    test.each([
      ['a new one', newPerson, newPassphrase],
      ['that of earlier sessions', knownPerson, known],
    ])('%s: Ctrl-C ends it', async (_title, person, question) => {
      const terminal = atTerminal(['login', '--passphrase', '--browser', 'none'], await person());
      await terminal.shows(question);
      terminal.type('half of it\x03');
      expect(await terminal.screen).toBe(question + interrupted);
    });

    test.each([
      ['a new one', newPerson, newPassphrase],
      ['that of earlier sessions', knownPerson, known],
    ])('%s: --timeout ends it', async (_title, person, question) => {
      const argv = ['login', '--passphrase', '--browser', 'none', '--timeout', '1s'];
      expect(await atTerminal(argv, await person()).screen).toBe(question + timedOut);
    });

    test('a new one: --timeout ends the second question too', async () => {
      const argv = ['login', '--passphrase', '--browser', 'none', '--timeout', '3s'];
      const terminal = atTerminal(argv, await newPerson());
      await terminal.shows(newPassphrase);
      terminal.type(`${passphrase}\r`);
      expect(await terminal.screen).toBe(`${newPassphrase}\n${again}${timedOut.replace('1 s', '3 s')}`);
    });
  },
);
