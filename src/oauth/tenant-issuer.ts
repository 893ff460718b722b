import { AuthError } from '../errors.js';

/** OpenID Connect Discovery 1.0 has one issuer for one address. Entra ID has an address for many tenants, and says so like this. */
const placeholder = '{tenantid}';

const tenantId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether `announced` differs from `issuer` by the tenant only: its ID, or a place for one, instead of an alias or a domain. */
export function isOfTenant(announced: string, issuer: string): boolean {
  const segments = issuer.split('/');
  return announced.split('/').every((segment, place, all) => {
    const known = segments[place];
    if (known === undefined || all.length !== segments.length) return false;
    // The first three are `https:`, nothing, and the host.
    return segment === known || (place > 2 && isTenant(segment) && !tenantId.test(known));
  });
}

function isTenant(segment: string): boolean {
  return segment === placeholder || tenantId.test(segment);
}

export function isTemplate(issuer: string): boolean {
  return issuer.includes(placeholder);
}

/** @param claims of an ID token that is still to be verified, as one of the issuer that this returns */
export function issuerOfTenant(template: string, { tid }: { readonly tid?: unknown }): string {
  if (typeof tid !== 'string' || !tenantId.test(tid)) {
    throw new AuthError('protocol', 'the ID token is refused: it names no tenant (tid)');
  }
  return template.replace(placeholder, tid);
}
