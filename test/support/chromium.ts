import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium, type BrowserContext, type Page } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

export const chromiumInstalled = existsSync(executablePath);

/** Debian's Chromium with a profile of its own, which is gone after `close`. */
export async function startChromium(): Promise<{
  readonly context: BrowserContext;
  readonly profile: string;
  readonly close: () => Promise<void>;
}> {
  const profile = mkdtempSync(join(tmpdir(), 'authcli-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return {
    context,
    profile,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Jane signs in and allows the access; the listener's page is shown then. */
export async function signInOn(page: Page, authorizationUrl: URL): Promise<void> {
  await page.goto(authorizationUrl.href);
  await page.fill('input[name=login]', 'jane@acme.test');
  await page.click('button');
  await page.click('button[value=allow]');
  await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
}
