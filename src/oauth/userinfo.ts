import { fetchProtectedResource, fetchUserInfo, skipSubjectCheck } from 'openid-client';

import { AuthError } from '../errors.js';
import { buildConfiguration, type Client } from './configuration.js';
import { toAuthError } from './failure.js';
import { proofOf } from './proof.js';
import type { Wire } from './wire.js';

/** Where a provider that is no OpenID provider says who signed in; paths are names joined by dots, numbers for places in lists. */
export interface UserinfoRule {
  readonly method?: 'GET' | 'POST' | undefined;
  /** The object that is about the person. */
  readonly at?: string | undefined;
  readonly sub?: string | undefined;
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
}

export type Claims = Readonly<Record<string, unknown>>;

export function hasUserinfo({ metadata }: Client): boolean {
  return metadata.userinfo_endpoint !== undefined;
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
    const { method = 'GET' } = client.userinfo;
    const endpoint = new URL(client.metadata.userinfo_endpoint ?? '');
    const headers = new Headers({ accept: 'application/json' });
    const response = await fetchProtectedResource(
      configuration,
      accessToken,
      endpoint,
      method,
      null,
      headers,
      proof,
    );
    const answer: unknown = response.ok ? await response.json() : undefined;
    return mapClaims(answer, client.userinfo, sub);
  } catch (error) {
    throw toAuthError(error, 'the userinfo request', client);
  }
}

function mapClaims(answer: unknown, rule: UserinfoRule, expected: string | null): Claims {
  const about = valueAt(answer, rule.at);
  const sub = textAt(about, rule.sub ?? 'sub');
  if (typeof about !== 'object' || about === null || sub === undefined) {
    throw new AuthError('protocol', "the provider's userinfo names nobody");
  }
  if (expected !== null && sub !== expected) {
    throw new AuthError('protocol', "the provider's userinfo is about somebody else than the session");
  }
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

function valueAt(value: unknown, path: string | undefined): unknown {
  if (path === undefined) return value;
  return path.split('.').reduce((at, name) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    const entry = Object.entries(at).find(([key]) => key === name);
    return entry?.[1];
  }, value);
}

function textAt(value: unknown, path: string): string | undefined {
  const found = valueAt(value, path);
  if (typeof found === 'number') return String(found);
  return typeof found === 'string' && found !== '' ? found : undefined;
}
