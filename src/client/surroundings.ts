import type { Wire } from '../oauth/wire.js';
import type { KeySurroundings } from '../store/key-source.js';
import type { OpenBrowser } from './browser.js';
import type { AskRefreshHelper } from './refresh-helper.js';

/** The outside world as the client needs it; `signal` ends everything that waits. */
export interface ClientSurroundings extends KeySurroundings, Wire {
  readonly openBrowser: OpenBrowser;
  readonly askRefreshHelper: AskRefreshHelper;
}
