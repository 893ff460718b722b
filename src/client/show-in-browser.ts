import type { OpenBrowser } from './browser.js';

/** Settles when the browser is known to have started, or not to: it may take its time, and a sign-in does not wait for it. */
export async function showInBrowser(
  url: URL,
  browser: string | undefined,
  notLaunched: (reason: string) => void,
  { openBrowser }: { readonly openBrowser: OpenBrowser },
): Promise<void> {
  if (browser === 'none') return;
  try {
    const launch = await openBrowser(url, browser);
    if (launch.kind === 'not_launched') notLaunched(launch.reason);
  } catch (error) {
    notLaunched(error instanceof Error ? error.message : 'unknown failure');
  }
}

export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
