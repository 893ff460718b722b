/** Whether a path means the same file in every folder. On Windows `\x` and `C:x` depend on the current drive and on its folder. */
export function isWholePath(path: string, { platform }: { readonly platform: NodeJS.Platform }): boolean {
  return platform === 'win32' ? /^(?:[a-z]:[\\/]|[\\/]{2})/i.test(path) : path.startsWith('/');
}
