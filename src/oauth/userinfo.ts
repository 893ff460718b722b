import {
  ClientError,
  fetchProtectedResource,
  fetchUserInfo,
  skipSubjectCheck,
  WWWAuthenticateChallengeError,
} from 'openid-client';

import { AuthError } from '../errors.js';
import { buildConfiguration, type Client } from './configuration.js';
import { toAuthError } from './failure.js';
import { isObject, valueAt } from '../json-document.js';
import { proofOf } from './proof.js';
import type { TokenSet } from './token-set.js';
import type { Wire } from './wire.js';

/** Where a provider that is no OpenID provider says who signed in; paths are names joined by dots, numbers for places in lists. */
export interface UserinfoRule {
  /** `token`: in the answer of the token endpoint, and nowhere else. */
  readonly from?: 'token' | undefined;
  readonly method?: 'GET' | 'POST' | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The object that is about the person. */
  readonly at?: string | undefined;
  readonly sub?: string | undefined;
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
}

export type Claims = Readonly<Record<string, unknown>>;

export function hasUserinfo({ metadata, userinfo }: Client): boolean {
  return userinfo?.from !== 'token' && metadata.userinfo_endpoint !== undefined;
}

/** Where the provider says in the answer of its token endpoint who signed in; undefined where it says so elsewhere. */
export function claimsOfAnswer({ userinfo }: Client, { answer }: TokenSet): Claims | undefined {
  return userinfo?.from === 'token' ? mapClaims(answer, userinfo, null) : undefined;
}

/** Not every refresh names the person again; one that names another is not of this session. */
export function assertSamePerson(client: Client, { answer }: TokenSet, sub: string | null): void {
  if (namesAnother(client, answer, sub)) throw new SomebodyElse();
}

/** Whether this answer of the token endpoint names somebody else than the session, by the provider's own rule. */
export function namesAnother({ userinfo }: Client, answer: unknown, sub: string | null): boolean {
  if (userinfo?.from !== 'token' || sub === null) return false;
  const named = textAt(personIn(answer, userinfo), userinfo.sub ?? 'sub');
  return named !== undefined && named !== sub;
}

/**
 * OpenID Connect Core 5.3, or what the provider has in its place.
 * @param sub who it must be about; null where the sign-in named nobody
 */
export async function fetchClaims(
  client: Client,
  { accessToken, proofKey }: { readonly accessToken: string; readonly proofKey: string | null },
  sub: string | null,
  wire: Wire,
): Promise<Claims> {
  const configuration = await buildConfiguration(client, wire);
  const proof = await proofOf(proofKey, configuration);
  try {
    if (client.userinfo === undefined) {
      return await fetchUserInfo(configuration, accessToken, sub ?? skipSubjectCheck, proof);
    }
    const { method = 'GET', headers: own } = client.userinfo;
    const endpoint = new URL(client.metadata.userinfo_endpoint ?? '');
    const headers = new Headers({ accept: 'application/json', ...own });
    const response = await fetchProtectedResource(
      configuration,
      accessToken,
      endpoint,
      method,
      null,
      headers,
      proof,
    );
    if (!response.ok) {
      throw new AuthError(
        'protocol',
        `the provider answers the userinfo request with status ${response.status}`,
      );
    }
    const answer: unknown = await response.json().catch(() => undefined);
    return mapClaims(answer, client.userinfo, sub);
  } catch (error) {
    throw toAuthError(error, 'the userinfo request', client);
  }
}

/** RFC 6750 3.1: the endpoint is not for this token. */
export function isTokenRefusal(error: unknown): error is AuthError {
  return (
    error instanceof AuthError &&
    error.cause instanceof WWWAuthenticateChallengeError &&
    [401, 403].includes(error.cause.status)
  );
}

/** OpenID Connect Core 5.3.2: an answer that must not be used, and not merely one that is missing. */
export function isAboutSomebodyElse(error: AuthError): boolean {
  const { cause } = error;
  return (
    error instanceof SomebodyElse ||
    (cause instanceof ClientError && cause.code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED')
  );
}

function mapClaims(answer: unknown, rule: UserinfoRule, expected: string | null): Claims {
  const about = personIn(answer, rule);
  const sub = textAt(about, rule.sub ?? 'sub');
  if (!isObject(about) || sub === undefined) {
    throw new AuthError('protocol', "the provider's userinfo names nobody");
  }
  if (expected !== null && sub !== expected) throw new SomebodyElse();
  const mapped = {
    sub,
    preferred_username: textAt(about, rule.username ?? 'preferred_username'),
    email: textAt(about, rule.email ?? 'email'),
    name: textAt(about, rule.name ?? 'name'),
  };
  return {
    ...about,
    ...Object.fromEntries(Object.entries(mapped).filter(([, value]) => value !== undefined)),
  };
}

function personIn(answer: unknown, { at }: UserinfoRule): unknown {
  return at === undefined ? answer : valueAt(answer, at);
}

class SomebodyElse extends AuthError {
  constructor() {
    super('protocol', "the provider's userinfo is about somebody else than the session");
  }
}

function textAt(value: unknown, path: string): string | undefined {
  const found = valueAt(value, path);
  if (typeof found === 'number') return String(found);
  return typeof found === 'string' && found !== '' ? found : undefined;
}
