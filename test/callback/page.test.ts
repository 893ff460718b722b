import { createHash } from 'node:crypto';

import { expect, test } from 'vitest';

import { buildNotice, buildPage, buildRefusalOfCaller } from '../../src/callback/page.js';

const hostile = `<img src=x onerror=alert(1)>'"&amp;</script>`;
const escaped = '&lt;img src=x onerror=alert(1)&gt;&#39;&quot;&amp;amp;&lt;/script&gt;';

test.for([
  {
    what: 'a success',
    page: buildPage({ kind: 'signed_in', provider: hostile, account: hostile }),
    times: 2,
  },
  { what: 'a failure', page: buildPage({ kind: 'failed', message: hostile, hint: hostile }), times: 2 },
  { what: 'a notice', page: buildNotice(hostile), times: 1 },
  { what: 'a refusal', page: buildRefusalOfCaller({ uid: 1001, name: hostile }, true), times: 1 },
])('$what shows text as text', ({ page, times }) => {
  expect(page.html).not.toContain('<img');
  expect(page.html.split(escaped)).toHaveLength(times + 1);
});

test('a success names account and provider, and says that the tab may be closed', () => {
  const { html } = buildPage({ kind: 'signed_in', provider: 'erp', account: 'ada@example.com' });
  expect(visibleText(html)).toBe(
    'You are signed in Account ada@example.com Provider erp You can close this tab. Work goes on in your terminal. authcli',
  );
  expect(html).toContain('<title>You are signed in · authcli</title>');
  expect(html).toContain('<main role="status">');
});

test('a failure says what the terminal says', () => {
  const { html } = buildPage({ kind: 'failed', message: 'the keychain is locked', hint: 'unlock it' });
  expect(visibleText(html)).toBe(
    'Sign-in failed error: the keychain is locked hint: unlock it You can close this tab and go back to your terminal. authcli',
  );
  expect(html).toContain('<main role="alert">');
  expect(buildPage({ kind: 'failed', message: 'no hint' }).html).not.toContain('hint:');
});

test.for([
  {
    caller: { uid: 1001, name: 'mallory' },
    reason:
      'It came from another user of this machine (uid 1001, mallory) than the one whose terminal waits for it.',
  },
  {
    caller: { uid: 1001, name: undefined },
    reason: 'It came from another user of this machine (uid 1001) than the one whose terminal waits for it.',
  },
  {
    caller: { uid: undefined, name: undefined },
    reason: 'The system does not say which user of this machine it came from.',
  },
])('who is refused learns why, and how the own answer can be brought: $caller', ({ caller, reason }) => {
  const text = (canBePasted: boolean) => visibleText(buildRefusalOfCaller(caller, canBePasted).html);
  const begin = `This answer was not taken ${reason} Nothing of it was used. `;
  const end = 'You can close this tab and go back to your terminal. authcli';
  expect(text(false)).toBe(begin + end);
  expect(text(true)).toBe(
    `${begin}If this is your own browser: copy the address of this page and paste it into the terminal that waits. ${end}`,
  );
});

test('the address of a page is kept only where it is to be copied', () => {
  const pages = [true, false].map((canBePasted) =>
    buildRefusalOfCaller({ uid: 1, name: undefined }, canBePasted),
  );
  expect(pages.map(({ html }) => html.includes('<script>'))).toEqual([false, true]);
});

test('the policy admits the one style and the one script of the page, and nothing else is there to load', () => {
  const { html, contentSecurityPolicy } = buildPage({ kind: 'signed_in', provider: 'erp', account: 'ada' });
  expect(contentSecurityPolicy).toContain(`style-src '${hashOf(html, 'style')}'`);
  expect(contentSecurityPolicy).toContain(`script-src '${hashOf(html, 'script')}'`);
  expect(html).not.toMatch(/\ssrc=|\sstyle=|\son\w+=|url\(|@import|https?:/u);
  expect(html.match(/\shref="[^"]*"/gu)).toEqual([' href="data:,"']);
});

function visibleText(html: string): string {
  return html
    .slice(html.indexOf('<main'), html.indexOf('</footer>'))
    .replaceAll(/<[^>]+>/gu, ' ')
    .replaceAll(/\s+/gu, ' ')
    .trim();
}

function hashOf(html: string, element: string): string {
  const [, content = ''] = new RegExp(`<${element}>(.*)</${element}>`, 'su').exec(html) ?? [];
  return `sha256-${createHash('sha256').update(content).digest('base64')}`;
}
