/**
 * The sockets of the session bus, in the order to try them (D-Bus specification, "Server Addresses"). An abstract
 * name begins with a NUL byte, as node:net wants it. Transports other than Unix sockets are left out.
 */
export function sessionBusSockets(env: Readonly<Record<string, string | undefined>>): string[] {
  const runtimeFolder = env['XDG_RUNTIME_DIR'];
  const runtimeBus = runtimeFolder ? [`${runtimeFolder}/bus`] : [];
  const addresses = env['DBUS_SESSION_BUS_ADDRESS'];
  if (!addresses) return runtimeBus;
  return addresses.split(';').flatMap((address) => {
    const [transport, settings = ''] = address.split(/:(.*)/s);
    if (transport !== 'unix') return [];
    const values = new Map(settings.split(',').map((setting) => keyAndValue(setting)));
    if (values.get('runtime') === 'yes') return runtimeBus;
    const path = values.get('path');
    if (path) return [path];
    const name = values.get('abstract');
    return name ? [`\0${name}`] : [];
  });
}

function keyAndValue(setting: string): [key: string, value: string] {
  const [key = '', value = ''] = setting.split(/=(.*)/s);
  try {
    return [key, decodeURIComponent(value)];
  } catch {
    return [key, ''];
  }
}
