import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env as environment, kill, pid } from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { onTestFinished } from 'vitest';

import { Bus, busDaemon } from '../../src/dbus/connection.js';
import { Variant, type Value } from '../../src/dbus/wire.js';
import { isOnPath } from './requirements.js';

export interface BusSession {
  readonly env: { readonly DBUS_SESSION_BUS_ADDRESS: string };
  /** Ends the daemons and removes their files. */
  stop(): Promise<void>;
}

export interface KeyringSession extends BusSession {
  lock(): Promise<void>;
  unlock(): Promise<void>;
  /** One of the two stops answering, and keeps its sockets. */
  hang(part: 'keyring' | 'bus'): void;
  /** Ends `hang`. */
  goOn(): void;
  /** The bus is killed, and its keyring with it. */
  vanish(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Both are started again, with what the keyring has kept. */
  comeBack(): Promise<void>;
}

type Daemon = ChildProcessByStdio<Writable, Readable, null>;

const keyringName = 'org.freedesktop.secrets';
const keyringPath = '/org/freedesktop/secrets';
const password = 'password';
const startTimeoutMs = 10_000;

/** Stopped when the test is over, however it ends. */
export async function forThisTest<Session extends BusSession>(starting: Promise<Session>): Promise<Session> {
  const session = await starting;
  onTestFinished(() => session.stop());
  return session;
}

export function keyringInstalled(): boolean {
  return isOnPath('dbus-daemon') && isOnPath('gnome-keyring-daemon');
}

/** A session bus of its own, where nobody offers a keyring and nothing can be started on demand. */
export async function startBus(): Promise<BusSession> {
  const folder = newFolder();
  const daemon = await startBusDaemon(folder);
  return { env: addressIn(folder), stop: () => endAll(folder, daemon) };
}

/** A keyring that owns its name on the bus and answers nothing. */
export async function startSilentKeyring(): Promise<BusSession> {
  const session = await startBus();
  const bus = new Bus(session.env);
  await ask(bus, 'RequestName', 'su', [keyringName, 0]);
  return {
    ...session,
    stop: async () => {
      bus.close();
      await session.stop();
    },
  };
}

/**
 * A real gnome-keyring on a bus of its own. Its default collection is empty and unlocked; or `locked`, as after a
 * start without the password; or there is none, as on an account that never had a keyring.
 */
export async function startKeyring({ locked = false, collection = true } = {}): Promise<KeyringSession> {
  const folder = newFolder();
  const env = addressIn(folder);
  let bus = await startBusDaemon(folder);
  let daemon = await startDaemon(folder, collection);
  if (locked) {
    await end(daemon);
    daemon = await startDaemon(folder, false);
  }
  return {
    env,
    lock: async () => {
      const client = new Bus(env);
      await askKeyring(client, 'Lock', 'ao', [[await defaultCollection(client)]]);
      client.close();
    },
    unlock: () => unlock(env),
    hang: (part) => void (part === 'bus' ? bus : daemon).kill('SIGSTOP'),
    goOn: () => [bus, daemon].forEach((one) => one.kill('SIGCONT')),
    vanish: async (signal) => {
      const gone = once(bus, 'exit');
      bus.kill(signal);
      await gone;
      await end(daemon);
    },
    comeBack: async () => {
      bus = await startBusDaemon(folder);
      daemon = await startDaemon(folder, true);
    },
    stop: () => endAll(folder, daemon, bus),
  };
}

const folderPrefix = 'authcli-keyring-';

/** Below /tmp, as a socket's path may have 107 bytes. Named by our process id: what a killed run left is swept here. */
function newFolder(): string {
  for (const name of readdirSync('/tmp')) {
    const owner = name.startsWith(folderPrefix) ? Number(name.slice(folderPrefix.length).split('-')[0]) : pid;
    if (!isAlive(owner)) rmSync(join('/tmp', name), { recursive: true, force: true });
  }
  return mkdtempSync(join('/tmp', `${folderPrefix}${pid}-`));
}

function isAlive(processId: number): boolean {
  try {
    return kill(processId, 0);
  } catch {
    return false;
  }
}

function addressIn(folder: string): BusSession['env'] {
  return { DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(folder, 'bus')}` };
}

async function startBusDaemon(folder: string): Promise<Daemon> {
  const configuration = join(folder, 'bus.conf');
  // No service folders: nothing is started on demand, so no second keyring races for the name and no dialog appears.
  writeFileSync(
    configuration,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig>
      <type>session</type><keep_umask/><listen>${addressIn(folder).DBUS_SESSION_BUS_ADDRESS}</listen>
      <policy context="default">
        <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
      </policy>
    </busconfig>`,
  );
  const daemon = run('dbus-daemon', [
    `--config-file=${configuration}`,
    '--nofork',
    '--nopidfile',
    '--print-address=1',
  ]);
  await once(daemon.stdout, 'data', { signal: AbortSignal.timeout(startTimeoutMs) });
  return daemon;
}

async function startDaemon(folder: string, isUnlocked: boolean): Promise<Daemon> {
  const address = addressIn(folder);
  const env: Record<string, string> = { ...address, GNOME_KEYRING_CONTROL: '' };
  for (const name of ['XDG_RUNTIME_DIR', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME']) {
    env[name] = join(folder, name);
    mkdirSync(env[name], { recursive: true, mode: 0o700 });
  }
  const bus = new Bus(address);
  const appears = { ...busDaemon, member: 'NameOwnerChanged' };
  await ask(bus, 'AddMatch', 's', [`type='signal',member='${appears.member}',arg0='${keyringName}'`]);
  const appeared = bus.signal(appears, startTimeoutMs);
  const options = isUnlocked ? ['--unlock'] : [];
  const daemon = run(executable(folder), ['--foreground', '--components=secrets', ...options], env);
  daemon.stdin.end(isUnlocked ? password : '');
  await appeared;
  if (isUnlocked) while ((await defaultCollection(bus)) === '/');
  bus.close();
  return daemon;
}

/** Where the packaged daemon's file capability keeps a container from executing it, a copy has none. */
function executable(folder: string): string {
  const daemon = 'gnome-keyring-daemon';
  if (spawnSync(daemon, ['--version']).status === 0) return daemon;
  const copy = join(folder, daemon);
  const packaged = spawnSync('which', [daemon], { encoding: 'utf8' }).stdout.trim();
  copyFileSync(packaged, copy);
  return copy;
}

function run(command: string, options: readonly string[], env?: Record<string, string>): Daemon {
  // A daemon ends with the test process, even when that is killed.
  const [program, args] = isOnPath('setpriv')
    ? ['setpriv', ['--pdeathsig', 'TERM', command, ...options]]
    : [command, options];
  return spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...environment, ...env } });
}

async function endAll(folder: string, ...daemons: readonly Daemon[]): Promise<void> {
  for (const daemon of daemons) await end(daemon);
  rmSync(folder, { recursive: true });
}

async function end(daemon: Daemon): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = once(daemon, 'exit');
  daemon.kill();
  // One that hangs ends only when it goes on.
  daemon.kill('SIGCONT');
  await ended;
}

/** What `gnome-keyring-daemon --unlock` itself calls: nobody is there to answer a dialog. */
async function unlock(env: BusSession['env']): Promise<void> {
  const bus = new Bus(env);
  const collection = await defaultCollection(bus);
  const [, session = '/'] = await askKeyring(bus, 'OpenSession', 'sv', ['plain', new Variant('s', '')]);
  const master = [session, Buffer.alloc(0), Buffer.from(password), 'text/plain'];
  await bus.call(
    {
      destination: keyringName,
      path: keyringPath,
      interface: 'org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface',
      member: 'UnlockWithMasterPassword',
      signature: 'o(oayays)',
      body: [collection, master],
    },
    startTimeoutMs,
  );
  bus.close();
}

function ask(bus: Bus, member: string, signature: string, body: readonly Value[]): Promise<readonly Value[]> {
  return bus.call({ ...busDaemon, member, signature, body }, startTimeoutMs);
}

async function defaultCollection(bus: Bus): Promise<Value> {
  const [path = '/'] = await askKeyring(bus, 'ReadAlias', 's', ['default']);
  return path;
}

function askKeyring(
  bus: Bus,
  member: string,
  signature: string,
  body: readonly Value[],
): Promise<readonly Value[]> {
  const service = {
    destination: keyringName,
    path: keyringPath,
    interface: 'org.freedesktop.Secret.Service',
  };
  return bus.call({ ...service, member, signature, body }, startTimeoutMs);
}
