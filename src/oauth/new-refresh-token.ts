import { isJson, isObject, repeatedNames } from '../json-document.js';
import type { Client } from './configuration.js';
import { unverifiedClaims } from './jwt.js';
import { properAnswer } from './token-answer.js';
import { isToken } from './token-set.js';
import { namesAnother } from './userinfo.js';

/**
 * The refresh token in a successful answer to a refresh, before anything of that answer is checked: at a provider that rotates
 * it is the only one that is still good, and cannot be fetched again. Undefined where there is none that could be sent, and
 * where the answer is about another person than `sub`; nobody is another person where the sign-in named nobody.
 */
export function newRefreshToken(body: Buffer, client: Client, sub: string | null): string | undefined {
  const text = body.toString().replace(/^\uFEFF/, '');
  const whole: unknown = isJson(text) ? JSON.parse(text) : undefined;
  if (!isObject(whole)) return undefined;
  const { tokenAnswer: rule } = client;
  if (rule.errorsWithStatus200 && isFilled(whole['error'])) return undefined;
  const proper = properAnswer(whole, rule);
  const answer = 'access_token' in proper ? proper : properAnswer(whole, rule, 'refresh_token');
  const { refresh_token: token, id_token: idToken } = answer;
  if (!isToken(token) || namesAnother(client, answer, sub)) return undefined;
  if (rule.idToken !== 'ignored' && sub !== null && isOfAnother(idToken, sub)) return undefined;
  // Readers differ on which of two counts.
  const twice = repeatedNames(text);
  const path = rule.at?.split('.') ?? [];
  return ['refresh_token', 'id_token', ...path].some((name) => twice.has(name)) ? undefined : token;
}

function isOfAnother(idToken: unknown, sub: string): boolean {
  const { sub: named } = unverifiedClaims(typeof idToken === 'string' ? idToken : '');
  return (isFilled(named) || typeof named === 'number') && String(named) !== sub;
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
