import { isObject } from '../json-document.js';

/** Nothing of it is verified. @returns nothing where it is no JWT */
export function unverifiedClaims(jwt: string): { readonly [claim: string]: unknown } {
  try {
    const claims: unknown = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
    return isObject(claims) ? claims : {};
  } catch {
    return {};
  }
}
