/**
 * User agents: they stand where the browser stands, as HTTP clients that fill in the provider's pages and follow its
 * redirects to the real listener. Plain JavaScript, because `agent.js` runs them outside of the tests too.
 *
 * @typedef {Readonly<Record<string, string>>} Person What a person fills in or chooses, by the field's name.
 * @typedef {{ url: URL, status: number, body: string }} Page
 * @typedef {(url: URL) => Promise<Page>} UserAgent Settles with the last page that the person sees.
 */

const jane = { login: 'jane@acme.test', answer: 'allow' };

/** @type {UserAgent} */
export const approves = (url) => visit(url, jane);

/** @type {UserAgent} */
export const denies = (url) => visit(url, { ...jane, answer: 'deny' });

/** Looks at the provider's first page and leaves. @type {UserAgent} */
export const neverComesBack = (url) => visit(url, {});

/** @type {(login: string) => UserAgent} */
export const approvesAs = (login) => (url) => visit(url, { ...jane, login });

/**
 * One browser for several visits: it keeps its cookies, and whoever sits there signs out where asked to.
 * @returns {UserAgent}
 */
export function oneBrowser() {
  const cookies = new CookieJar();
  return (url) => visit(url, { ...jane, logout: 'yes' }, undefined, cookies);
}

/**
 * Goes as far as the redirect to `redirectUri` and brings that URL back instead of following it.
 * @param {URL} url @param {URL} redirectUri @param {Person} person
 * @returns {Promise<URL>} the authorization response
 */
export async function authorizationResponse(url, redirectUri, person = jane) {
  const last = await visit(url, person, (next) => next.host === redirectUri.host);
  return last.url;
}

/**
 * The same where the provider answers with a form (`response_mode=form_post`): what a browser would post.
 * @param {URL} url @param {URL} redirectUri
 * @returns {Promise<string>}
 */
export async function authorizationResponseForm(url, redirectUri) {
  const last = await visit(url, jane, (next) => next.host === redirectUri.host);
  return last.body;
}

/**
 * A browser for the world of a test: it has opened as soon as it is asked to, and the person goes on in it meanwhile.
 * @param {UserAgent} agent
 */
export function browserOf(agent) {
  /** @type {Promise<Page>[]} */
  const pages = [];
  /** @type {import('../../src/client/browser.js').OpenBrowser} */
  const openBrowser = async (url) => {
    pages.push(agent(url));
    return { kind: 'launched' };
  };
  return { openBrowser, pages };
}

/**
 * @param {URL} start @param {Person} person
 * @param {(next: URL) => boolean} [stopsAt] @param {CookieJar} [cookies]
 * @returns {Promise<Page>}
 */
async function visit(start, person, stopsAt = () => false, cookies = new CookieJar()) {
  let url = start;
  /** @type {URLSearchParams | undefined} */
  let form;
  for (let pages = 0; pages < 20; pages++) {
    if (stopsAt(url)) return { url, status: 0, body: String(form ?? '') };
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: cookies.for(url), accept: 'text/html' },
      ...(form && { method: 'POST', body: form }),
    });
    cookies.keep(response, url);
    const body = await response.text();
    const location = response.headers.get('location');
    const next =
      location === null ? filledIn(body, url, person) : { url: new URL(location, url), form: undefined };
    if (next === undefined) return { url, status: response.status, body };
    ({ url, form } = next);
  }
  throw new Error(`the sign-in goes round in circles at ${url.origin}${url.pathname}`);
}

/**
 * The first form of the page as this person sends it; nothing where the page has none, or asks what the person leaves open.
 * @param {string} html @param {URL} url @param {Person} person
 */
function filledIn(html, url, person) {
  const [, formTag = '', content] = /(<form[^>]*>)(.*?)<\/form>/s.exec(html) ?? [];
  if (content === undefined) return undefined;
  const form = new URLSearchParams();
  /** @type {Set<string>} */
  const choices = new Set();
  for (const [tag, kind] of content.matchAll(/<(input|button)\b[^>]*>/g)) {
    const name = attribute(tag, 'name');
    if (name === undefined) continue;
    const value = attribute(tag, 'value') ?? '';
    if (kind === 'button') choices.add(name);
    else if (attribute(tag, 'type') === 'hidden') form.set(name, value);
    else choices.add(name);
  }
  for (const name of choices) {
    const choice = person[name];
    if (choice === undefined) return undefined;
    form.set(name, choice);
  }
  return { url: new URL(attribute(formTag, 'action') ?? url, url), form };
}

/** @param {string} tag @param {string} name */
function attribute(tag, name) {
  const [, value] = new RegExp(`\\s${name}="([^"]*)"`).exec(tag) ?? [];
  return value?.replace(/&#(\d+);|&amp;/g, (_match, code) =>
    code ? String.fromCharCode(Number(code)) : '&',
  );
}

/** Cookies of one browser, kept by host (not port, as browsers do) and sent by path. */
class CookieJar {
  /** @type {Map<string, { host: string, path: string, pair: string }>} */
  #cookies = new Map();

  /** @param {Response} response @param {URL} url */
  keep(response, url) {
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = cookie.split(/;\s*/);
      const path = attributes.find((text) => /^path=/i.test(text))?.slice('path='.length) ?? '/';
      const expires = attributes.find((text) => /^expires=/i.test(text))?.slice('expires='.length);
      const key = `${url.hostname} ${path} ${pair.split('=')[0]}`;
      if (expires !== undefined && Date.parse(expires) <= Date.now()) this.#cookies.delete(key);
      else this.#cookies.set(key, { host: url.hostname, path, pair });
    }
  }

  /** @param {URL} url */
  for(url) {
    return [...this.#cookies.values()]
      .filter(({ host, path }) => host === url.hostname && url.pathname.startsWith(path))
      .map(({ pair }) => pair)
      .join('; ');
  }
}
