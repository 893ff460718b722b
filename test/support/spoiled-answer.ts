import type { Newcomer } from './newcomer.js';
import type { Answer } from './provider.js';

/** An answer of the token endpoint, by the names of RFC 6749 5.1. */
export type TokenAnswer = Readonly<Record<string, unknown>>;

/** In place of the answer: its members, or the octets of its body. */
export type Spoil = (answer: TokenAnswer) => object | string | Buffer;

/** Names the requests that a spoiled answer makes at the provider in its turn. */
const secondHand = 'x-second-hand';

/**
 * The provider acts on the request and rotates as ever, and its answer arrives spoiled.
 * @param seen is told what the provider itself answered
 */
export function spoiled(
  { issuer }: Newcomer['acme'],
  spoil: Spoil,
  { status = 200, headers = {}, seen }: SpoiledOptions = {},
): Answer {
  return async ({ parameters }, response) => {
    const answer = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { [secondHand]: '1' },
      body: new URLSearchParams(parameters),
    });
    const body: unknown = await answer.json();
    if (!answer.ok) {
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    const good: TokenAnswer = Object(body);
    seen?.(good);
    const bad = spoil(good);
    const octets = typeof bad === 'string' || Buffer.isBuffer(bad) ? bad : JSON.stringify(bad);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(octets);
  };
}

/** The same answer without these members. */
export function without(...names: readonly string[]): (answer: TokenAnswer) => TokenAnswer {
  return (answer) => Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name)));
}

interface SpoiledOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly seen?: (answer: TokenAnswer) => void;
}

/** The refresh tokens that authcli sent, in order, without those of `spoiled`. */
export function refreshTokensSent(acme: Newcomer['acme']): string[] {
  return acme
    .requestsTo('/token')
    .filter(({ headers }) => headers[secondHand] === undefined)
    .flatMap(({ parameters }) => parameters['refresh_token'] ?? []);
}
