import { ClientError } from 'openid-client';

import { isObject, valueAt } from '../json-document.js';

/** How the answers of a token endpoint differ from RFC 6749 5. */
export interface TokenAnswerRule {
  /** The field that holds the answer proper, where it is there. */
  readonly at?: string | undefined;
  readonly scopeSeparator?: ' ' | ',' | undefined;
  /** Seconds that an access token lives where the answer does not say, or says 0. */
  readonly lifetime?: number | undefined;
  /** A refusal has status 200. */
  readonly errorsWithStatus200?: true | undefined;
  /** `token_type` is missing or a word of the provider's own. */
  readonly typeless?: true | undefined;
  /** `optional`: it may be missing. `ignored`: what is in its place is none. */
  readonly idToken?: 'optional' | 'ignored' | undefined;
}

type Answer = Readonly<Record<string, unknown>>;

/** The answer as RFC 6749 5 has it, for the checks that follow; what is no JSON object goes on as it is. */
export async function standardAnswer(response: Response, rule: TokenAnswerRule): Promise<Response> {
  const answer: unknown = response.ok
    ? await response
        .clone()
        .json()
        .catch(() => undefined)
    : undefined;
  if (!isObject(answer)) return response;
  if (rule.errorsWithStatus200 && isText(answer['error'])) return withBody(response, answer, 400);
  const standard = [properAnswer, withLifetime, withScope, withType, withoutFalseIdToken].reduce<Answer>(
    (at, change) => change(at, rule),
    answer,
  );
  assertLifetime(standard);
  return withBody(response, standard, response.status);
}

/** What the standard has names for; the rest of an answer may say who signed in. */
const standardNames: ReadonlySet<string> = new Set([
  'access_token',
  'token_type',
  'expires_in',
  'refresh_token',
  'scope',
  'id_token',
]);

/**
 * No token, type or lifetime from outside may complete what is inside.
 * @param token what the inside must have to count as the answer proper
 */
export function properAnswer(
  answer: Answer,
  { at }: TokenAnswerRule,
  token: 'access_token' | 'refresh_token' = 'access_token',
): Answer {
  const proper = at === undefined ? undefined : valueAt(answer, at);
  if (!isObject(proper) || !(token in proper)) return answer;
  const others = Object.entries(answer).filter(([name]) => !standardNames.has(name));
  return { ...Object.fromEntries(others), ...proper };
}

const unsaid: ReadonlySet<unknown> = new Set([undefined, null, 0, '0']);

function withLifetime(answer: Answer, { lifetime }: TokenAnswerRule): Answer {
  const isSaid = !unsaid.has(answer['expires_in']);
  return lifetime === undefined || isSaid ? answer : { ...answer, expires_in: lifetime };
}

function withScope(answer: Answer, { scopeSeparator }: TokenAnswerRule): Answer {
  const { scope } = answer;
  if (scopeSeparator !== ',' || typeof scope !== 'string') return answer;
  return { ...answer, scope: scope.split(/[, ]+/).filter(isText).join(' ') };
}

/** RFC 6749 11.1's registry: what these name is no bearer token, whatever the entry says. */
const otherTypes: ReadonlySet<string> = new Set(['dpop', 'n_a', 'pop']);

function withType(answer: Answer, { typeless }: TokenAnswerRule): Answer {
  const { token_type: type } = answer;
  if (!typeless || (typeof type === 'string' && otherTypes.has(type.toLowerCase()))) return answer;
  return { ...answer, token_type: 'bearer' };
}

function withoutFalseIdToken(answer: Answer, { idToken }: TokenAnswerRule): Answer {
  if (idToken !== 'ignored') return answer;
  const { id_token: _, ...rest } = answer;
  return rest;
}

/** openid-client reads what only begins as a number, such as "12abc" or [12], as that number. */
function assertLifetime(answer: Answer): void {
  if (!('expires_in' in answer)) return;
  const { expires_in: lifetime } = answer;
  const isNumber =
    typeof lifetime === 'string'
      ? /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(lifetime)
      : typeof lifetime === 'number' && Number.isFinite(lifetime);
  if (!isNumber) throw new ClientError('the answer has an expires_in that is not a number');
}

function withBody({ headers }: Response, body: Answer, status: number): Response {
  const ours = new Headers(headers);
  ours.set('content-type', 'application/json');
  return new Response(JSON.stringify(body), { status, headers: ours });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
