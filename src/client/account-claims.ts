import type { Claims } from '../oauth/userinfo.js';
import type { Account } from '../store/account.js';

const nobody: Account = { sub: null, username: null, email: null, name: null, emailVerified: null };

export function accountOf(claims: Claims | undefined): Account {
  return { ...withClaims(nobody, claims), sub: textClaim(claims, 'sub') };
}

/** The account with what the provider says of it now. It stays the same account: whoever asks has compared the sub. */
export function withClaims(account: Account, claims: Claims | undefined): Account {
  const email = textClaim(claims, 'email') ?? account.email;
  const isSameEmail = email === account.email;
  return {
    sub: account.sub,
    username: textClaim(claims, 'preferred_username') ?? account.username,
    email,
    name: textClaim(claims, 'name') ?? account.name,
    emailVerified: verification(claims) ?? (isSameEmail ? account.emailVerified : null),
  };
}

export function textClaim(claims: Claims | undefined, name: string): string | null {
  const claim = claims?.[name];
  return typeof claim === 'string' && claim !== '' ? claim : null;
}

/** OpenID Connect Core 5.1 has a boolean here; some providers send it as text or as a number. */
function verification(claims: Claims | undefined): boolean | null {
  switch (String(claims?.['email_verified']).toLowerCase()) {
    case 'true':
    case '1':
      return true;
    case 'false':
    case '0':
      return false;
    default:
      return null;
  }
}
