/** What became of the attempt to show a page; a browser that cannot start never ends a login. */
export type BrowserLaunch =
  | { readonly kind: 'launched' }
  | { readonly kind: 'not_launched'; readonly reason: string };

/**
 * Shows `url` to the person.
 * @param command a browser's name, a program, or words as a shell would split them; the system's browser when absent
 */
export type OpenBrowser = (url: URL, command: string | undefined) => Promise<BrowserLaunch>;
