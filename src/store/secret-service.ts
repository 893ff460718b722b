import { Bus, BusError, busDaemon, type Wait } from '../dbus/connection.js';
import { MalformedMessage } from '../dbus/malformed-message.js';
import { listOf, pathOf } from '../dbus/message.js';
import { Variant } from '../dbus/wire.js';
import type { Value } from '../dbus/wire.js';
import type { Keychain, KeychainTrouble, Patience } from './keychain.js';
import { keychainCallMs } from '../time-budgets.js';
import { monotonicMs } from '../monotonic-time.js';
import { KeyringUnavailable, isLockedError } from './keyring-unavailable.js';
import { waitPatiently, type Waited } from './wait-patiently.js';

const destination = 'org.freedesktop.secrets';
const servicePath = '/org/freedesktop/secrets';
const defaultCollection = '/org/freedesktop/secrets/aliases/default';
const nowhere = '/';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The keychain of a Linux desktop: the default collection of whatever implements org.freedesktop.secrets.
 * `secret-tool lookup service authcli username ACCOUNT` finds the same items.
 */
export function secretService(env: Environment): Keychain {
  return {
    read: (account, patience) =>
      converse(env, patience, async (keyring) => {
        const { session, items } = (await keyring.glance(account)) ?? (await keyring.open(account));
        const [item] = items;
        if (item === undefined) return { kind: 'missing' };
        const [secret] = await keyring.unlocking(item, () =>
          keyring.call(item, 'Item.GetSecret', 'o', [session]),
        );
        const [, , value] = listOf(secret);
        if (!Buffer.isBuffer(value)) throw new MalformedMessage('a secret without a value');
        return { kind: 'found', secret: value.toString() };
      }),
    write: (account, secret, patience) => {
      // gnome-keyring lost a whole keyring without a password at its restart after a value of several lines.
      if (/[\r\n]/.test(secret)) throw new TypeError('a secret for the keychain is a single line');
      return converse(env, patience, async (keyring) => {
        const { session, collection } = await keyring.open(account);
        const properties = [
          ['org.freedesktop.Secret.Item.Label', new Variant('s', `authcli (${account})`)],
          ['org.freedesktop.Secret.Item.Attributes', new Variant('a{ss}', attributes(account))],
        ];
        const plain = [session, Buffer.alloc(0), Buffer.from(secret), 'text/plain'];
        const replace = true;
        const [, prompt] = await keyring.call(collection, 'Collection.CreateItem', 'a{sv}(oayays)b', [
          properties,
          plain,
          replace,
        ]);
        await keyring.settle(prompt);
        return { kind: 'done' };
      });
    },
    remove: (account, patience) =>
      converse(env, patience, async (keyring) => {
        const { items } = await keyring.open(account);
        for (const item of items) {
          const [prompt] = await keyring.unlocking(item, () => keyring.call(item, 'Item.Delete'));
          await keyring.settle(prompt);
        }
        return { kind: 'done' };
      }),
  };
}

function attributes(account: string): Value {
  return [
    ['service', 'authcli'],
    ['username', account],
    ['xdg:schema', 'org.freedesktop.Secret.Generic'],
  ];
}

async function converse<Answer>(
  env: Environment,
  patience: Patience,
  ask: (keyring: Keyring) => Promise<Answer>,
): Promise<Answer | KeychainTrouble> {
  const bus = new Bus(env);
  const keyring = new Keyring(bus, patience);
  try {
    return await ask(keyring);
  } catch (error) {
    // What ended the conversation then is that the connection was closed.
    patience.signal?.throwIfAborted();
    const { keyringTrouble } = await import('./secret-service-trouble.js');
    return keyringTrouble(error, keyring.waited);
  } finally {
    bus.close();
  }
}

class Keyring {
  readonly #bus: Bus;
  readonly #patience: Patience;
  readonly #begunAt = monotonicMs();
  #timeoutMs: number;
  /** Undefined until the person was told of the keyring's silence, if there is a person. */
  #isExtended: boolean | undefined;
  #isGreeted = false;

  constructor(bus: Bus, patience: Patience) {
    this.#bus = bus;
    this.#patience = patience;
    this.#timeoutMs = patience.timeoutMs;
  }

  get waited(): Waited {
    const isExtended = this.#isExtended ?? false;
    const timeoutMs = isExtended ? this.#timeoutMs : Math.min(this.#timeoutMs, keychainCallMs);
    return { timeoutMs, isExtended };
  }

  /** `member` is an interface of the Secret Service and its method: `Item.Delete`. */
  call(
    path: string,
    member: string,
    signature = '',
    body: readonly Value[] = [],
    wait = this.#forAnswer(),
  ): Promise<readonly Value[]> {
    const [name = '', method = ''] = member.split('.');
    const iface = `org.freedesktop.Secret.${name}`;
    return this.#bus.call({ destination, path, interface: iface, member: method, signature, body }, wait);
  }

  /**
   * The account's items where they can be had at once, which is nearly always, in one exchange less than `open` takes.
   * Nothing found may have many reasons: `open` tells them apart.
   */
  async glance(account: string): Promise<{ session: string; items: readonly string[] } | undefined> {
    await this.#greet();
    const [[, session], items] = await Promise.all([
      this.#openSession(),
      this.#search(defaultCollection, account).catch((error: unknown) => {
        // Not every keyring answers under its aliases.
        if (error instanceof BusError && error.failure === 'error') return [];
        throw error;
      }),
    ]);
    return items.length > 0 ? { session: pathOf(session), items } : undefined;
  }

  /** A session, the unlocked default collection and the account's items in it. */
  async open(account: string): Promise<{ session: string; collection: string; items: readonly string[] }> {
    await this.#greet();
    const [alias] = await this.call(servicePath, 'Service.ReadAlias', 's', ['default']);
    const collection = pathOf(alias);
    if (collection === nowhere) throw new KeyringUnavailable('no_collection');
    const look = (): Promise<[locked: Value | undefined, items: readonly string[]]> =>
      Promise.all([this.#property(collection, 'Collection', 'Locked'), this.#search(collection, account)]);
    const [[, session], seen] = await Promise.all([this.#openSession(), look()]);
    let [locked, items] = seen;
    if (locked !== false) {
      await this.#unlock(collection);
      [locked, items] = await look();
      if (locked !== false) throw new KeyringUnavailable('locked');
    }
    return { session: pathOf(session), collection, items };
  }

  /**
   * Until gnome-keyring 42 has answered a client once, it may tell it of no alias, and OpenSession may abort the
   * daemon: hence a call whose answer nobody needs.
   */
  async #greet(): Promise<void> {
    if (this.#isGreeted) return;
    await this.#property(servicePath, 'Service', 'Collections');
    this.#isGreeted = true;
  }

  #openSession(): Promise<readonly Value[]> {
    return this.call(servicePath, 'Service.OpenSession', 'sv', ['plain', new Variant('s', '')]);
  }

  async #search(collection: string, account: string): Promise<readonly string[]> {
    const [items] = await this.call(collection, 'Collection.SearchItems', 'a{ss}', [attributes(account)]);
    return listOf(items).map((item) => pathOf(item));
  }

  /** The specification lets a keyring lock items one by one, in an unlocked collection too. */
  async unlocking(item: string, act: () => Promise<readonly Value[]>): Promise<readonly Value[]> {
    try {
      return await act();
    } catch (error) {
      const isLocked = error instanceof BusError && error.errorName === isLockedError;
      if (!isLocked) throw error;
      await this.#unlock(item);
      return act();
    }
  }

  /** Shows the dialog that a call asked for, and waits for the person. */
  async settle(prompt: Value | undefined): Promise<void> {
    const path = pathOf(prompt);
    if (path === nowhere) return;
    if (!this.#patience.mayPrompt) throw new KeyringUnavailable('locked');
    const completed = { path, interface: 'org.freedesktop.Secret.Prompt', member: 'Completed' };
    const rule = `type='signal',path='${path}',interface='${completed.interface}',member='${completed.member}'`;
    const match = { ...busDaemon, member: 'AddMatch', signature: 's', body: [rule] };
    const anyWindow = '';
    const [[dismissed]] = await Promise.all([
      this.#bus.signal(completed, this.#forPerson()).catch((error: unknown) => {
        const unanswered = error instanceof BusError && error.failure === 'timeout';
        throw unanswered ? new KeyringUnavailable('unanswered') : error;
      }),
      this.#bus.call(match, this.#forAnswer()),
      this.call(path, 'Prompt.Prompt', 's', [anyWindow], this.#forPerson()),
    ]);
    if (dismissed !== false) throw new KeyringUnavailable('dismissed');
  }

  async #unlock(path: string): Promise<void> {
    if (!this.#patience.mayPrompt) throw new KeyringUnavailable('locked');
    const [, prompt] = await this.call(servicePath, 'Service.Unlock', 'ao', [[path]]);
    await this.settle(prompt);
  }

  async #property(path: string, owner: string, name: string): Promise<Value | undefined> {
    const method = { destination, path, interface: 'org.freedesktop.DBus.Properties', member: 'Get' };
    const body = [`org.freedesktop.Secret.${owner}`, name];
    const [property] = await this.#bus.call({ ...method, signature: 'ss', body }, this.#forAnswer());
    return property instanceof Variant ? property.value : undefined;
  }

  /** A keyring that shows no dialog answers soon; one that does may keep a call open, whoever asked it to. */
  #forAnswer(): Wait {
    return this.#within(this.#isExtended ? Infinity : keychainCallMs);
  }

  /** The whole patience, for a dialog that we asked for. */
  #forPerson(): Wait {
    return this.#within(Infinity);
  }

  #within(longestMs: number): Wait {
    return (giveUp) => {
      const ours = this.#patience;
      const patience: Patience = {
        mayPrompt: ours.mayPrompt,
        timeoutMs: Math.min(longestMs, this.#remainingMs()),
        extend: () => this.#extend(),
        // Made by `extend`.
        get signal() {
          return ours.signal;
        },
      };
      return waitPatiently(patience, { giveUp, interrupt: () => this.#bus.close() });
    };
  }

  /** The person is told once in a conversation. A bus that has never said a word shows no dialog. */
  #extend(): number | undefined {
    if (this.#isExtended === undefined && !this.#bus.isSilent) {
      const moreMs = this.#patience.extend?.();
      this.#isExtended = moreMs !== undefined;
      if (moreMs !== undefined) this.#timeoutMs = monotonicMs() - this.#begunAt + moreMs;
    }
    return this.#isExtended ? this.#remainingMs() : undefined;
  }

  #remainingMs(): number {
    return Math.max(0, this.#timeoutMs - (monotonicMs() - this.#begunAt));
  }
}
