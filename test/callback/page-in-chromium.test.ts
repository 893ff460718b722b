import { getuid, platform } from 'node:process';

import type { BrowserContext } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { listenForAuthorizationResponse } from '../../src/callback/listener.js';
import type { LoginOutcome } from '../../src/callback/page.js';
import { chromiumInstalled, startChromium } from '../support/chromium.js';
import { requirement } from '../support/requirements.js';

const state = 'Xq0y4o0bYbQ0m1u5rC2o1A';
const outcomes: readonly LoginOutcome[] = [
  { kind: 'signed_in', provider: 'erp', account: 'ada@example.com' },
  { kind: 'failed', message: 'the keychain is locked', hint: 'unlock it' },
];

describe.skipIf(!requirement('chromium', chromiumInstalled))('in Chromium', { timeout: 30_000 }, () => {
  let browser: BrowserContext;
  beforeAll(async () => {
    const { context, close } = await startChromium();
    browser = context;
    return close;
  });

  test.for(outcomes)(
    'the code leaves address bar and history, and nothing else is fetched: $kind',
    async (outcome) => {
      const listener = await listenForAuthorizationResponse({
        host: '127.0.0.1',
        ports: [0],
        path: '/callback',
      });
      const received = listener.receive(state);
      const page = await browser.newPage();
      const requested: string[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => requested.push(new URL(request.url()).pathname));
      page.on('console', (message) => {
        // The status of a failure is not a complaint about the page.
        if (!message.text().startsWith('Failed to load resource')) complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      try {
        const loaded = page.goto(`${listener.redirectUri}?code=SplxlOBeZQQYbYS6WxSbIA&state=${state}`);
        await (await received).respond(outcome);
        await loaded;

        expect(await page.evaluate('location.href')).toBe(listener.redirectUri);
        await page.goto('about:blank');
        await page.goBack();
        expect(page.url()).toBe(listener.redirectUri);
        expect(requested).toEqual(['/callback', '/callback']);
        expect(complaints).toEqual([]);
      } finally {
        await page.close();
        await listener.close();
      }
    },
  );

  test.skipIf(platform !== 'linux')(
    'of another user it is refused, with an address that can be copied',
    async () => {
      const refused: (number | undefined)[] = [];
      const listener = await listenForAuthorizationResponse({
        host: 'localhost',
        path: '/callback',
        trustedUsers: [65_533],
        onRefusedCaller: ({ uid }) => refused.push(uid),
      });
      void listener.receive(state);
      const page = await browser.newPage();
      try {
        const address = `${listener.redirectUri}?code=SplxlOBeZQQYbYS6WxSbIA&state=${state}`;
        const response = await page.goto(address);
        expect(response?.status()).toBe(403);
        expect(await page.getByRole('heading').textContent()).toBe('This answer was not taken');
        expect(await page.evaluate('location.href')).toBe(address);
        expect(refused).toEqual([getuid?.()]);
        await page.setViewportSize({ width: 320, height: 600 });
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
        expect(await page.evaluate(lowestContrast)).toBeGreaterThanOrEqual(4.5);
      } finally {
        await page.close();
        await listener.close();
      }
    },
  );

  test.for([
    { colorScheme: 'light', outcome: outcomes[0] },
    { colorScheme: 'dark', outcome: outcomes[0] },
    { colorScheme: 'light', outcome: outcomes[1] },
    { colorScheme: 'dark', outcome: outcomes[1] },
  ] as const)(
    'text is readable in $colorScheme, and 320 px are wide enough: $outcome.kind',
    async (example) => {
      const listener = await listenForAuthorizationResponse({
        host: '127.0.0.1',
        ports: [0],
        path: '/callback',
      });
      const received = listener.receive(state);
      const page = await browser.newPage();
      try {
        await page.emulateMedia({ colorScheme: example.colorScheme, reducedMotion: 'reduce' });
        await page.setViewportSize({ width: 320, height: 600 });
        const loaded = page.goto(`${listener.redirectUri}?code=c&state=${state}`);
        if (example.outcome !== undefined) await (await received).respond(example.outcome);
        await loaded;

        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
        expect(await page.evaluate(lowestContrast)).toBeGreaterThanOrEqual(4.5);
        expect(await page.evaluate('document.getAnimations().length')).toBe(0);
      } finally {
        await page.close();
        await listener.close();
      }
    },
  );
});

/** Runs in the page: the lowest contrast (WCAG 2.2, 1.4.3) of an element with text of its own against what is behind it. */
const lowestContrast = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return channels(backgroundColor)[3] === 0 ? ground(element.parentElement) : backgroundColor;
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
  const contrasts = [...document.body.querySelectorAll(':not(script)')].filter(hasText).map((element) => {
    const [light, dark] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  });
  return Math.min(...contrasts);
})()`;
