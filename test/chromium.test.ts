import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { execPath } from 'node:process';
import { text } from 'node:stream/consumers';

import { expect, onTestFinished, test } from 'vitest';

import { chromiumInstalled, startChromium } from './support/chromium.js';
import { newcomer } from './support/newcomer.js';
import { requirement } from './support/requirements.js';
import { launcher } from './support/run.js';

test.skipIf(!requirement('chromium', chromiumInstalled))(
  'a person signs in with the built program and a real browser',
  { timeout: 60_000 },
  async () => {
    const { machine } = await newcomer();
    const browser = await startChromium();
    onTestFinished(browser.close);

    const child = spawn(execPath, [launcher, 'login', '--no-browser', '--json'], {
      env: machine.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const answer = text(child.stdout);
    const closed = once(child, 'close');
    const page = await browser.context.newPage();
    await page.goto(await authorizationUrl(child.stderr));
    await page.fill('input[name=login]', 'jane@acme.test');
    await page.click('button');
    await page.click('button[value=allow]');
    await page.getByRole('heading').waitFor();

    expect(await closed).toEqual([0, null]);
    expect(JSON.parse(await answer)).toMatchObject({
      provider: 'acme',
      account: { email: 'jane@acme.test' },
    });
    expect(await page.textContent('body')).toContain('jane@acme.test');
    // RFC 9700 4.3: neither the address bar nor the history keeps the code.
    expect(page.url()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
  },
);

async function authorizationUrl(stderr: AsyncIterable<unknown>): Promise<string> {
  let seen = '';
  for await (const chunk of stderr) {
    seen += String(chunk);
    const url = /http\S+code_challenge=\S+(?=\n)/.exec(seen)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error(`no URL was printed: ${seen}`);
}
