import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { onTestFinished } from 'vitest';

import { newSigningKey, sign, type Claims, type SigningKey } from './forged-id-token.js';
import { listen } from './listen.js';
import { received, type ProviderRequest } from './provider.js';

/** What a server of a test answers; an object is sent as JSON. */
export interface Reply {
  readonly status: number;
  readonly location?: string;
  readonly body?: object | string;
}

type Parameters = Readonly<Record<string, string>>;

/** A small provider, made from the documentation of one that nobody here has. */
export interface EmulatedProvider {
  readonly origin: string;
  readonly requests: readonly ProviderRequest[];
  requestsTo(path: string): ProviderRequest[];
}

/** @param answer is told the origin, too, which its documents name */
export async function emulate(
  answer: (request: ProviderRequest, origin: string) => Reply,
): Promise<EmulatedProvider> {
  const requests: ProviderRequest[] = [];
  const server = createServer();
  const origin = `http://127.0.0.1:${await listen(server)}`;
  server.on('request', (incoming, response) => {
    const handle = async () => {
      const [, request] = await received(incoming);
      requests.push(request);
      const { status, location, body = '' } = answer(request, origin);
      const type = typeof body === 'string' ? 'text/html' : 'application/json; charset=utf-8';
      response.writeHead(status, { 'content-type': type, ...(location !== undefined && { location }) });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    handle().catch((error: unknown) => server.emit('error', error));
  });
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
  return { origin, requests, requestsTo: (path) => requests.filter((request) => request.path === path) };
}

export const notFound: Reply = { status: 404, body: '<h1>Not Found</h1>' };

export function refusal(error: string, description: string, status = 400): Reply {
  return { status, body: { error, error_description: description } };
}

/** The codes and refresh tokens of a provider, each good for one use, and its signing key. */
export class TokenDesk {
  readonly key: SigningKey = newSigningKey('RS256');
  readonly #codes = new Map<string, Parameters>();
  readonly #refreshTokens = new Map<string, Parameters>();

  get keys(): Reply {
    return { status: 200, body: { keys: [this.key.jwk] } };
  }

  /** The person agrees at once. */
  authorize(request: Parameters): Reply {
    const code = randomBytes(16).toString('base64url');
    this.#codes.set(code, request);
    const location = new URL(request['redirect_uri'] ?? '');
    location.searchParams.set('code', code);
    location.searchParams.set('state', request['state'] ?? '');
    return { status: 302, location: location.href };
  }

  /** The authorization request of a code or a refresh token that is good; undefined where it is not. */
  redeem(request: Parameters): Parameters | undefined {
    const { grant_type: grant, code = '', refresh_token: refreshToken = '' } = request;
    const kept = grant === 'refresh_token' ? this.#refreshTokens : this.#codes;
    const key = grant === 'refresh_token' ? refreshToken : code;
    const asked = kept.get(key);
    kept.delete(key);
    if (grant === 'refresh_token' || asked === undefined) return asked;
    const challenge = createHash('sha256')
      .update(request['code_verifier'] ?? '')
      .digest('base64url');
    const isOurs = asked['code_challenge'] === challenge && asked['redirect_uri'] === request['redirect_uri'];
    return isOurs ? asked : undefined;
  }

  newRefreshToken(asked: Parameters): string {
    const token = randomBytes(16).toString('base64url');
    this.#refreshTokens.set(token, asked);
    return token;
  }

  /** The refresh tokens are good for nothing from now on. */
  forget(): void {
    this.#refreshTokens.clear();
  }

  newAccessToken(): string {
    return randomBytes(16).toString('base64url');
  }

  idToken(claims: Claims, key = this.key): string {
    return sign(claims, key);
  }
}
