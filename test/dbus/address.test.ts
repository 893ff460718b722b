import { describe, expect, test } from 'vitest';

import { sessionBusSockets } from '../../src/dbus/address.js';

describe('the address of the session bus', () => {
  const runtime = { XDG_RUNTIME_DIR: '/run/user/7' };

  test.each([
    ['nothing known', {}, []],
    ['the runtime folder alone', runtime, ['/run/user/7/bus']],
    ['an empty variable', { ...runtime, DBUS_SESSION_BUS_ADDRESS: '' }, ['/run/user/7/bus']],
    ['a path', { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/a/bus,guid=1234' }, ['/a/bus']],
    ['an abstract name', { DBUS_SESSION_BUS_ADDRESS: 'unix:guid=1,abstract=/tmp/dbus-x' }, ['\0/tmp/dbus-x']],
    ['escaped bytes', { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/a%2fb%20c%3b%c3%a9' }, ['/a/b c;é']],
    [
      'the runtime folder by name',
      { ...runtime, DBUS_SESSION_BUS_ADDRESS: 'unix:runtime=yes' },
      ['/run/user/7/bus'],
    ],
    [
      'several, some of which are not for us',
      {
        ...runtime,
        DBUS_SESSION_BUS_ADDRESS: 'tcp:host=h,port=1;unix:path=/a;unix:dir=/d;unix:path=%zz;unix:path=/b',
      },
      ['/a', '/b'],
    ],
    ['a bus that was switched off', { ...runtime, DBUS_SESSION_BUS_ADDRESS: 'disabled:' }, []],
  ])('%s', (_, env, sockets) => {
    expect(sessionBusSockets(env)).toEqual(sockets);
  });
});
