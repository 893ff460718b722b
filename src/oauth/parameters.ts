/** Request parameters without those that were left out. */
export function definedOnly(parameters: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Each of them once, whatever the address had before. */
export function withParameters(address: string | URL, parameters: Readonly<Record<string, string>>): URL {
  const url = new URL(address);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}

/** Each of them once. */
export function joinScopes(
  scopes: readonly (string | null | undefined)[],
  separator: ' ' | ',' = ' ',
): string | undefined {
  const names = scopes.flatMap((scope) => scope?.split(' ') ?? []);
  return [...new Set(names)].join(separator) || undefined;
}
