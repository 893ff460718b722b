import { connect, type LookupFunction, type Socket } from 'node:net';

/**
 * A connection in the clear, which never leaves this machine: a socket of our own, which no agent, dispatcher or proxy variable of
 * this process can lead elsewhere (`NODE_USE_ENV_PROXY`), and `localhost` is not looked up (RFC 6761 6.3).
 * @param url whose host is a loopback address or `localhost`
 */
export function connectToLoopback({ hostname, port }: URL): Socket {
  const host = hostname.replace(/[[\]]/g, '');
  return connect({ host, port: Number(port || 80), autoSelectFamily: true, lookup: bothLoopbacks });
}

const bothLoopbacks: LookupFunction = (_name, _options, answer) => {
  answer(null, [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]);
};
