/** What a browser is called where. */
export interface KnownBrowser {
  /** The application of macOS. */
  readonly darwin: string;
  /** What `Start` of Windows finds; absent where the browser does not exist. */
  readonly win32?: string;
  /** The programs of Linux, the best first. */
  readonly linux: readonly string[];
  /** Below `Program Files`, for WSL. */
  readonly windowsPath?: string;
}

const browsers: Readonly<Record<string, KnownBrowser>> = {
  chrome: {
    darwin: 'google chrome',
    win32: 'chrome',
    linux: ['google-chrome', 'google-chrome-stable', 'chromium', 'chromium-browser'],
    windowsPath: 'Google/Chrome/Application/chrome.exe',
  },
  chromium: {
    darwin: 'chromium',
    win32: 'chromium',
    linux: ['chromium', 'chromium-browser'],
    windowsPath: 'Chromium/Application/chrome.exe',
  },
  firefox: {
    darwin: 'firefox',
    win32: 'firefox',
    linux: ['firefox', 'firefox-esr'],
    windowsPath: 'Mozilla Firefox/firefox.exe',
  },
  edge: {
    darwin: 'microsoft edge',
    win32: 'msedge',
    linux: ['microsoft-edge', 'microsoft-edge-stable', 'microsoft-edge-dev'],
    windowsPath: 'Microsoft/Edge/Application/msedge.exe',
  },
  brave: {
    darwin: 'brave browser',
    win32: 'brave',
    linux: ['brave-browser', 'brave'],
    windowsPath: 'BraveSoftware/Brave-Browser/Application/brave.exe',
  },
  opera: { darwin: 'opera', win32: 'opera', linux: ['opera'] },
  vivaldi: {
    darwin: 'vivaldi',
    win32: 'vivaldi',
    linux: ['vivaldi', 'vivaldi-stable'],
    windowsPath: 'Vivaldi/Application/vivaldi.exe',
  },
  safari: { darwin: 'safari', linux: [] },
};

export function knownBrowser(name: string): KnownBrowser | undefined {
  const key = name.toLowerCase();
  return Object.hasOwn(browsers, key) ? browsers[key] : undefined;
}

/** The programs to look for on Linux. Under WSL the person's browser is that of Windows. */
export function linuxPrograms(browser: KnownBrowser, isWsl: boolean): readonly string[] {
  if (!isWsl || browser.windowsPath === undefined) return browser.linux;
  const folders = ['/mnt/c/Program Files', '/mnt/c/Program Files (x86)'];
  return [...folders.map((folder) => `${folder}/${browser.windowsPath}`), ...browser.linux];
}
