import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { env, getuid } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { forThisTest, keyringInstalled, startKeyring, type KeyringSession } from '../support/keyring.js';
import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { behind, obeyingModes, type Outcome } from '../support/run.js';
import { canMount, onSmallDisk } from '../support/small-disk.js';
import { randomNumbers } from '../support/random.js';
import { expectNoneUsedTwice, success, timed, type Timed } from './session.js';

/** 100 in `npm run test:faults`. */
const rounds = Number(env['AUTHCLI_FAULT_STORE_ROUNDS'] ?? 3);
const longestCallMs = 5_000;

/** When the fault begins. */
const onsets = ['before the call', 'before the answer', 'at any moment'] as const;

type Random = () => number;

/** Somebody who is signed in where a fault can be switched on and off. */
interface Patient extends Newcomer {
  readonly begin: (onset: (typeof onsets)[number], random: Random) => Promise<void> | void;
  readonly end: () => Promise<void> | void;
}

interface Fault {
  readonly title: string;
  readonly isPossible: boolean;
  /** How many are tried side by side: waiting for a time limit leaves the machine idle. */
  readonly lanes: number;
  readonly trouble: RegExp;
  /** A token that is good needs nothing that the fault takes away. */
  readonly sparesGoodTokens: boolean;
  readonly prepare: () => Promise<Patient>;
}

const hasKeyring = requirement('gnome-keyring', keyringInstalled());

const ofKeychain = {
  isPossible: hasKeyring,
  lanes: 1,
  sparesGoodTokens: false,
} as const;

const faults: readonly Fault[] = [
  {
    title: 'REF-17: a full disk',
    isPossible: requirement('unshare, nsenter', isOnPath('unshare') && isOnPath('nsenter')) && canMount(),
    lanes: 1,
    trouble: /^error: cannot write \S+: no space left on the disk\nhint: free some space, then run .*\n$/,
    sparesGoodTokens: true,
    prepare: async () => {
      const { acme, machine: anywhere } = await newcomer();
      const { machine, fill, free } = await onSmallDisk(anywhere);
      expect(await login(machine)).toMatchObject({ exitCode: 0 });
      // Less than the 64 kB that are kept for an answer, and nothing for whoever has them already.
      const begin: Patient['begin'] = (onset, random) =>
        fill(onset === 'before the call' ? Math.floor(random() * 16) : 0);
      return { acme, machine, begin, end: free };
    },
  },
  {
    title: 'REF-16, STO-08: a read-only folder',
    isPossible: requirement('setpriv', isOnPath('setpriv')) && getuid?.() === 0,
    lanes: 1,
    trouble:
      /^error: cannot (?:write|lock) \S+: permission denied\nhint: check the owner and the mode of .*\n$/,
    sparesGoodTokens: true,
    prepare: async () => {
      const { acme, machine } = await newcomer();
      expect(await login(machine)).toMatchObject({ exitCode: 0 });
      const sessions = join(machine.folder, 'state', 'sessions');
      return {
        acme,
        machine: behind(machine, ...obeyingModes),
        begin: () => chmodSync(sessions, 0o500),
        end: () => chmodSync(sessions, 0o700),
      };
    },
  },
  {
    ...ofKeychain,
    title: 'REF-16, STO-12: a locked keychain',
    trouble: /^error: the keyring is locked\nhint: unlock it in the desktop session, .*\n$/,
    prepare: () => withKeyring((keyring) => ({ begin: () => keyring.lock(), end: () => keyring.unlock() })),
  },
  {
    ...ofKeychain,
    title: 'a keychain, or a bus, that hangs',
    lanes: 3,
    trouble: /^error: the (?:keyring|D-Bus of this session) did not answer within 4 s\nhint: .*\n$/,
    prepare: () =>
      withKeyring((keyring) => ({
        begin: (_onset, random) => keyring.hang(random() < 0.5 ? 'keyring' : 'bus'),
        end: () => keyring.goOn(),
      })),
  },
  {
    ...ofKeychain,
    title: 'a bus that vanishes',
    trouble: /^error: the keyring (?:is out of reach: .* no working D-Bus|refused: .*)[^\n]*\nhint: .*\n$/,
    prepare: () =>
      withKeyring((keyring) => ({
        begin: (_onset, random) => keyring.vanish(random() < 0.5 ? 'SIGTERM' : 'SIGKILL'),
        end: () => keyring.comeBack(),
      })),
  },
];

async function withKeyring(
  control: (keyring: KeyringSession) => Pick<Patient, 'begin' | 'end'>,
): Promise<Patient> {
  const keyring = await forThisTest(startKeyring());
  const { acme, machine } = await newcomer(keyring.env);
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  return { acme, machine, ...control(keyring) };
}

for (const fault of faults) {
  test.skipIf(!fault.isPossible)(
    `${fault.title} loses no session, and each call ends within ${longestCallMs / 1000} s`,
    { timeout: 60_000 + rounds * 12_000 },
    async ({ task }) => {
      const slowest = await Promise.all(
        Array.from({ length: Math.min(fault.lanes, rounds) }, (_, lane) => inLane(fault, lane)),
      );
      const ms = Math.round(Math.max(...slowest));
      task.meta.measured = { rounds, result: `0 sessions lost, the slowest call took ${ms} ms` };
      expect(ms).toBeLessThan(longestCallMs);
    },
  );
}

/** Returns how long the slowest call took. */
async function inLane(fault: Fault, lane: number): Promise<number> {
  const random = randomNumbers(`${fault.title} ${lane}`);
  const patient = await fault.prepare();
  let slowest = 0;
  for (let round = lane; round < rounds; round += fault.lanes) {
    const calls = await callsDuring(fault, patient, onsets[round % onsets.length] ?? 'at any moment', random);
    slowest = Math.max(slowest, ...calls.map(({ ms }) => ms));
    expect(await patient.machine.spawn(['token', '--force-refresh'])).toEqual(success);
  }
  expectNoneUsedTwice(patient.acme);
  return slowest;
}

/** A refresh that the fault meets at `onset`, and a look at the token as soon as the fault is there. */
async function callsDuring(
  fault: Fault,
  { acme, machine, begin, end }: Patient,
  onset: (typeof onsets)[number],
  random: Random,
): Promise<readonly Timed[]> {
  const trouble: Outcome = { exitCode: 7, stdout: '', stderr: expect.stringMatching(fault.trouble) };
  const asked = acme.requestsTo('/token').length;
  const force = (): Promise<Timed> => timed(machine.spawn(['token', '--force-refresh']));
  let refresh: Promise<Timed>;
  switch (onset) {
    case 'before the call':
      await begin(onset, random);
      refresh = force();
      break;
    case 'before the answer': {
      const begun = new Promise<void>((resolve) => {
        acme.answerNext('/token', async () => {
          await begin(onset, random);
          resolve();
        });
      });
      refresh = force();
      await Promise.race([begun, refresh]);
      break;
    }
    case 'at any moment':
      refresh = force();
      await pause(random() * 250);
      await begin(onset, random);
      break;
  }
  const calls = await Promise.all([refresh, timed(machine.spawn(['token']))]);
  const [{ outcome: refreshed }, { outcome: looked }] = calls;
  await end();

  expect(looked).toEqual(fault.sparesGoodTokens ? success : trouble);
  expect(refreshed).toEqual(refreshed.exitCode === 0 ? success : trouble);
  // What has been asked for can always be kept and handed out.
  const hasAsked = acme.requestsTo('/token').length > asked;
  expect(hasAsked).toBe(refreshed.exitCode === 0);
  if (onset === 'before the call') expect(refreshed).toEqual(trouble);
  if (onset === 'before the answer') expect(refreshed).toEqual(success);
  return calls;
}
