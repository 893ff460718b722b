import { hash } from 'node:crypto';

import type { Provider } from '../providers/provider.js';
import type { InteractiveRequest } from './interactive.js';

/** The same for two sign-ins that ask for the same; through which browser and to which listener makes no difference. */
export function requestDigest(provider: Provider, request: InteractiveRequest): string {
  const { browser: _browser, redirect: _redirect, ...wanted } = request;
  return hash('sha256', JSON.stringify([provider, wanted]));
}
