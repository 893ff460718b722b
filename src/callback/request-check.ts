import type { IncomingMessage } from 'node:http';

/** How a browser brings the authorization response: POST is what `response_mode=form_post` makes it do. */
export type ResponseMethod = 'GET' | 'POST';

/** Why a request is not the browser bringing the authorization response home. */
export interface Refusal {
  readonly status: 403 | 404 | 405 | 413 | 415 | 421;
  readonly message: string;
}

/**
 * Refuses everything but a top-level navigation to the redirect URI. Nothing of the response is looked at here.
 * Browsers leave the Sec-Fetch headers out where they do not know them, so what is absent counts as right.
 * @param origins of the pages that may send the browser here with a form; a link or a redirect carries no origin
 */
export function findRefusal(
  request: IncomingMessage,
  redirectUri: URL,
  method: ResponseMethod = 'GET',
  origins: readonly string[] = [],
): Refusal | undefined {
  // DNS rebinding makes a page of another site speak to us under that site's name.
  if (!isOnly(headerValues(request, 'host'), redirectUri.host)) {
    return { status: 421, message: 'This request was meant for another host.' };
  }
  if (pathOf(request) !== redirectUri.pathname)
    return { status: 404, message: 'There is nothing at this address.' };
  if (request.method !== method) return { status: 405, message: `This address only answers to ${method}.` };
  if (isPrefetch(request)) return { status: 403, message: 'This address must not be fetched ahead of time.' };
  if (!isTopLevelNavigation(request, [redirectUri.origin, ...origins])) {
    return { status: 403, message: 'This address is only for a browser’s own window or tab.' };
  }
  return undefined;
}

/** The redirect URI with the query as it came, so that it is decoded only once. */
export function authorizationResponseUrl(request: IncomingMessage, redirectUri: URL): URL {
  const url = new URL(redirectUri);
  url.search = (request.url ?? '').slice(redirectUri.pathname.length);
  return url;
}

/** Compared as it was sent: `/x/../callback` and `/%63allback` are other addresses. */
function pathOf(request: IncomingMessage): string | undefined {
  return request.url?.split('?', 1)[0];
}

/** A prefetched response would spend the code on a page that nobody may ever see. */
function isPrefetch(request: IncomingMessage): boolean {
  return ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].some((name) =>
    headerValues(request, name).some((value) => /prefetch|prerender|preview/iu.test(value)),
  );
}

function isTopLevelNavigation(request: IncomingMessage, origins: readonly string[]): boolean {
  const destination = headerValues(request, 'sec-fetch-dest');
  const mode = headerValues(request, 'sec-fetch-mode');
  const origin = headerValues(request, 'origin');
  // Node's fetch sends this mode and nothing else; a page's would come with a destination and an origin.
  const isProgram = isOnly(mode, 'cors') && destination.length === 0 && origin.length === 0;
  return (
    isAbsentOr(destination, ['document']) &&
    isAbsentOr(origin, origins) &&
    (isAbsentOr(mode, ['navigate']) || isProgram)
  );
}

/** Each line of the header apart: `request.headers` keeps the first Host of two and says nothing. */
export function headerValues(request: IncomingMessage, name: string): readonly string[] {
  return request.headersDistinct[name] ?? [];
}

function isOnly(values: readonly string[], expected: string): boolean {
  return values.length === 1 && values[0] === expected;
}

function isAbsentOr(values: readonly string[], expected: readonly string[]): boolean {
  return values.length === 0 || expected.some((one) => isOnly(values, one));
}
