import { describe, expect, test } from 'vitest';

import { findFolders } from '../../src/platform/folders.js';

const profile = 'C:\\Users\\Jürgen K';

describe('on Windows', () => {
  test.each([
    [
      'the folders that Windows names',
      { APPDATA: `${profile}\\Data`, LOCALAPPDATA: 'D:\\Local', USERPROFILE: profile },
      { configuration: `${profile}\\Data\\authcli`, state: 'D:\\Local\\authcli' },
    ],
    [
      'those of the profile, and never HOME, which a shell of Git sets to a path of its own',
      { USERPROFILE: profile, HOME: '/c/Users/J' },
      {
        configuration: `${profile}\\AppData\\Roaming\\authcli`,
        state: `${profile}\\AppData\\Local\\authcli`,
      },
    ],
    [
      'those of the profile where a variable names a folder of the current drive',
      { USERPROFILE: profile, APPDATA: '\\Data', LOCALAPPDATA: 'C:Local' },
      {
        configuration: `${profile}\\AppData\\Roaming\\authcli`,
        state: `${profile}\\AppData\\Local\\authcli`,
      },
    ],
    [
      'what the person chose, also on another machine',
      { AUTHCLI_CONFIG_DIR: '\\\\server\\share\\config', AUTHCLI_STATE_DIR: 'E:/state' },
      { configuration: '\\\\server\\share\\config', state: 'E:/state' },
    ],
  ])('are taken: %s', (_title, env, folders) => {
    expect(findFolders(env, 'win32')).toEqual(folders);
  });

  test.each(['\\state', '/state', 'C:state', 'state'])(
    '%s is refused, because it depends on where one stands',
    (path) => {
      const env = { USERPROFILE: profile, AUTHCLI_STATE_DIR: path };
      expect(() => findFolders(env, 'win32')).toThrow('AUTHCLI_STATE_DIR is a relative path');
    },
  );

  test('without a profile the variable to set is named', () => {
    expect(() => findFolders({}, 'win32')).toThrow('USERPROFILE is not set');
  });
});

test('on macOS both are in Application Support, on other systems where XDG says', () => {
  const support = '/Users/j/Library/Application Support/authcli';
  expect(findFolders({ HOME: '/Users/j' }, 'darwin')).toEqual({ configuration: support, state: support });
  expect(
    findFolders({ HOME: '/home/j', XDG_CONFIG_HOME: 'relative', XDG_DATA_HOME: '/data' }, 'linux'),
  ).toEqual({
    configuration: '/home/j/.config/authcli',
    state: '/data/authcli',
  });
});
