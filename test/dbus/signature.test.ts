import { describe, expect, test } from 'vitest';

import { MalformedMessage } from '../../src/dbus/malformed-message.js';
import { assertSignature, assertSingleType } from '../../src/dbus/signature.js';
import { isValidSignature } from '../support/valid-signature.js';

const valid = [
  '',
  'y',
  'ybnqiuxtdsogvh',
  'ay',
  'aaas',
  '(y)',
  '(a(ii)v)a{sv}',
  'a{s(ii)}',
  'a{ya{yv}}',
  'y'.repeat(255),
  `${'a'.repeat(32)}y`,
  `${'('.repeat(32)}y${')'.repeat(32)}`,
  `${'a('.repeat(32)}y${')'.repeat(32)}`,
];

const invalid = [
  'a',
  'aa',
  'az',
  'va',
  'z',
  '\0',
  ' ',
  'e',
  'r',
  '(',
  ')',
  '()',
  'a()',
  '(y',
  'y)',
  '(y))',
  '((y)',
  '{sv}',
  '({sv})',
  'a{}',
  'a{s}',
  'a{svv}',
  'a{vs}',
  'a{ays}',
  'a{(s)s}',
  'a{sv',
  'a{sv)',
  'a{s',
  'a(sv}',
  'a{{sv}s}',
  'a{s{sv}}',
  'y'.repeat(256),
  'y'.repeat(900_000),
  'a'.repeat(900_000),
  '('.repeat(900_000),
  `${'a'.repeat(33)}y`,
  `${'('.repeat(33)}y${')'.repeat(33)}`,
  `${'a{y'.repeat(33)}y${'}'.repeat(33)}`,
];

const named = (signature: string): [string, string] => [JSON.stringify(signature).slice(0, 50), signature];

test.each(valid.map(named))('%s is a signature', (_, signature) => {
  expect(isValidSignature(signature)).toBe(true);
  expect(() => assertSignature(signature)).not.toThrow();
});

test.each(invalid.map(named))('%s is not a signature', (_, signature) => {
  expect(isValidSignature(signature)).toBe(false);
  expect(() => assertSignature(signature)).toThrow(MalformedMessage);
});

describe('a variant holds exactly one type', () => {
  test.each(['y', 'ay', 'a{sv}', '(yy)', 'v'])('%s is one', (signature) => {
    expect(() => assertSingleType(signature)).not.toThrow();
  });

  test.each(['', 'yy', 'ayy', '(y)y', 'y'.repeat(256), ...invalid].map(named))(
    '%s is not',
    (_, signature) => {
      expect(() => assertSingleType(signature)).toThrow(MalformedMessage);
    },
  );
});
