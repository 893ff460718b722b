import { AuthError } from '../errors.js';
import type { PassphraseSource } from '../store/key-source.js';
import { passphraseFromEnvironment, type Context } from './command.js';

/** Asks where somebody can answer: what opens the sealed sessions, and, with `--passphrase`, what will seal them. */
export function passphraseSource(
  options: { readonly passphrase?: boolean | undefined },
  { world, terminal, globals }: Context,
): PassphraseSource {
  const fromEnvironment = passphraseFromEnvironment(world, terminal);
  const canAsk = terminal.isInteractive && world.stdin.isTTY === true && !globals.noInput;
  const ask = async (question: string, signal: AbortSignal) => {
    const { askSecret } = await import('../terminal/prompt.js');
    const passphrase = await askSecret(question, world, signal);
    if (passphrase) terminal.concealPassphrase(passphrase);
    return passphrase || undefined;
  };
  const open = async (signal: AbortSignal) =>
    (await fromEnvironment.open(signal)) ??
    (canAsk ? ask('Passphrase of the sealed sessions: ', signal) : undefined);
  let opening: Promise<string | undefined> | undefined;
  return {
    isRequested: options.passphrase ?? false,
    // Once for all sessions.
    open: (signal) => (opening ??= open(signal)),
    async choose(signal) {
      const given = await fromEnvironment.choose(signal);
      if (given !== undefined || !options.passphrase) return given;
      const hint = 'set AUTHCLI_STORE_PASSPHRASE, or run it in a terminal';
      if (!canAsk) throw new AuthError('usage', '--passphrase needs a terminal to ask in', { hint });
      const first = await ask('New passphrase for the sealed sessions: ', signal);
      if (first === undefined)
        throw new AuthError('usage', 'the passphrase is empty', {
          hint: 'leave out --passphrase to use a key file',
        });
      if (first !== (await ask('The same again: ', signal)))
        throw new AuthError('usage', 'the two passphrases differ', { hint: 'run the same command again' });
      return first;
    },
  };
}
