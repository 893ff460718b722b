import { deepEqual, ok } from 'node:assert/strict';
import { createContext, Script } from 'node:vm';

import { expect, test } from 'vitest';

import { MalformedMessage } from '../../../src/dbus/malformed-message.js';
import { decodeMessage, messageLength, type Message } from '../../../src/dbus/message.js';
import { campaign, campaignTimeout } from './campaign.js';
import { mutatedMessage } from './dbus-message.js';

/** A message that is not understood by then never will be. */
const limitMs = 2_000;

test('a message of a hostile bus or keyring', { timeout: campaignTimeout }, async () => {
  const failures = await campaign(
    'message of D-Bus',
    2_000,
    async (chance, note) => {
      const { bytes, body, findings } = mutatedMessage(chance);
      note('message', bytes);
      const outcome = understood(bytes);
      note('outcome', outcome);
      if (body) deepEqual(outcome, body);
      const isRefused = outcome === 'malformed' || outcome === 'incomplete';
      ok(isRefused || !findings.some(({ verdict }) => verdict === 'invalid'), 'it was understood');
      return findings;
    },
    20_000,
  );
  expect(failures).toBe('');
});

/** The body; an error other than the one that is expected, and a loop without end, are thrown on. */
function understood(bytes: Buffer): Message['body'] | 'malformed' | 'incomplete' {
  try {
    const length = messageLength(bytes);
    // The client waits for the rest until its time is over.
    if (length === undefined || length > bytes.length) return 'incomplete';
    return endingInTime(() => decodeMessage(bytes.subarray(0, length)).body ?? []);
  } catch (error) {
    if (error instanceof MalformedMessage) return 'malformed';
    throw error;
  }
}

const script = new Script('act()');

/** As `act()`; V8 ends it when it takes too long. */
function endingInTime<T>(act: () => T): T {
  let result: { readonly value: T } | undefined;
  script.runInContext(createContext({ act: () => void (result = { value: act() }) }), { timeout: limitMs });
  if (!result) throw new Error('there is no result');
  return result.value;
}
