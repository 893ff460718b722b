import { AuthError } from './errors.js';

/**
 * Node would then accept any certificate, and hand code and refresh token to whoever stands in between.
 * @throws {AuthError} `usage`
 */
export function assertVerifiedTls(env: Readonly<Record<string, string | undefined>>): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] !== '0') return;
  throw new AuthError(
    'usage',
    'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the verification of TLS certificates off',
    { remedy: { kind: 'advice', text: 'unset it; NODE_EXTRA_CA_CERTS=FILE adds a CA of your own' } },
  );
}
