import { createHash } from 'node:crypto';

import type { RefusedCaller } from './caller.js';
import { pageStyle } from './page-style.js';

/** How a login ended, in the words of the terminal. */
export type LoginOutcome =
  | { readonly kind: 'signed_in'; readonly provider: string; readonly account: string }
  | { readonly kind: 'signed_out'; readonly provider: string; readonly isConfirmed: boolean }
  | { readonly kind: 'failed'; readonly message: string; readonly hint?: string | undefined };

/** A document of one file, and the policy that lets nothing but its own style and script in. */
export interface Page {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

/** Takes the code out of the address bar, the history and what the browser synchronises (RFC 9700 4.3). */
const script = "history.replaceState(null, '', location.pathname);";

const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src '${hashSource(pageStyle)}'`,
  `script-src '${hashSource(script)}'`,
  // For the empty icon: blocked, it leaves an error in the browser's console.
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const closeTab = '<p class="close">You can close this tab and go back to your terminal.</p>';

/** The page that ends a login. It says what the terminal says. */
export function buildPage(outcome: LoginOutcome): Page {
  if (outcome.kind === 'signed_in') {
    return page({
      mark: 'good',
      title: 'You are signed in',
      content: `<dl>
<div><dt>Account</dt><dd><bdi>${escapeHtml(outcome.account)}</bdi></dd></div>
<div><dt>Provider</dt><dd><bdi>${escapeHtml(outcome.provider)}</bdi></dd></div>
</dl>
<p class="close">You can close this tab.<br>Work goes on in your terminal.</p>`,
    });
  }
  if (outcome.kind === 'signed_out') {
    const where = outcome.isConfirmed ? ' and at the provider' : '';
    return page({
      mark: outcome.isConfirmed ? 'good' : 'note',
      title: 'You are signed out',
      content: `<dl>
<div><dt>Provider</dt><dd><bdi>${escapeHtml(outcome.provider)}</bdi></dd></div>
</dl>
<p class="close">Signed out in your terminal${where}. You can close this tab.</p>`,
    });
  }
  const hint = outcome.hint === undefined ? '' : `\n<p><b>hint:</b> ${escapeHtml(outcome.hint)}</p>`;
  return page({
    mark: 'bad',
    title: 'Sign-in failed',
    content: `<div class="terminal">
<p><b class="error">error:</b> ${escapeHtml(outcome.message)}</p>${hint}
</div>
${closeTab}`,
  });
}

/** The page for every request that does not end a login. */
export function buildNotice(message: string): Page {
  return page({
    mark: 'note',
    title: 'Nothing to do here',
    content: `<p>${escapeHtml(message)}</p>\n${closeTab}`,
  });
}

/** The page for a response that came from another user. @param canBePasted whether the address of the page is all of it */
export function buildRefusalOfCaller({ uid, name }: RefusedCaller, canBePasted: boolean): Page {
  const user = name === undefined ? `uid ${uid}` : `uid ${uid}, ${name}`;
  const reason =
    uid === undefined
      ? 'The system does not say which user of this machine it came from.'
      : `It came from another user of this machine (${user}) than the one whose terminal waits for it.`;
  const remedy = canBePasted
    ? '\n<p>If this is your own browser: copy the address of this page and paste it into the terminal that waits.</p>'
    : '';
  return page({
    mark: 'bad',
    title: 'This answer was not taken',
    content: `<p>${escapeHtml(reason)} Nothing of it was used.</p>${remedy}\n${closeTab}`,
    keepsAddress: canBePasted,
  });
}

const marks = {
  good: '<path d="m18.5 28.5 6.5 6.5 13-13.5"/>',
  bad: '<path d="m20.5 20.5 15 15"/><path d="m35.5 20.5-15 15"/>',
  note: '<path d="M28 26.5v11"/><path d="M28 19v.01"/>',
};

interface PageContent {
  readonly mark: keyof typeof marks;
  readonly title: string;
  readonly content: string;
  /** The person is asked to copy the address, with all that is in it. */
  readonly keepsAddress?: boolean;
}

/** The empty icon keeps browsers from asking for `/favicon.ico`. */
function page({ mark, title, content, keepsAddress = false }: PageContent): Page {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title} · authcli</title>
<link rel="icon" href="data:,">
<style>${pageStyle}</style>
</head>
<body>
<main role="${mark === 'bad' ? 'alert' : 'status'}">
<svg class="mark ${mark}" viewBox="0 0 56 56" aria-hidden="true"><circle cx="28" cy="28" r="28"/>${marks[mark]}</svg>
<h1>${title}</h1>
${content}
</main>
<footer>authcli</footer>${keepsAddress ? '' : `\n<script>${script}</script>`}
</body>
</html>
`;
  return { html, contentSecurityPolicy };
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function hashSource(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
