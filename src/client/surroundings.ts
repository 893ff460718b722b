import type { Wire } from '../oauth/wire.js';
import type { KeySurroundings } from '../store/key-source.js';
import type { OpenBrowser } from './browser.js';
import type { AskRefreshHelper } from './refresh-helper.js';
import type { ReadSecret } from './secret-source.js';

/** The outside world as the client needs it; `signal` ends everything that waits. */
export interface ClientSurroundings extends KeySurroundings, Wire {
  readonly openBrowser: OpenBrowser;
  /** The text as one line that may be shown: without what was concealed, and without what looks like a secret. */
  readonly shown: (text: string) => Promise<string>;
  readonly readSecret: ReadSecret;
  readonly askRefreshHelper: AskRefreshHelper;
}
