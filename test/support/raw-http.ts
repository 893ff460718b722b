import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawReply {
  readonly status: number;
  /** Names in lower case; a header that came twice is an error. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A connected socket that survives whatever the other side does to it. */
export async function connectTo(origin: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(origin).port) });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Sends exactly `text`, and reads until the server closes the connection; this side never does. */
export async function sendRaw(origin: string, text: string | Buffer): Promise<RawReply> {
  const socket = await connectTo(origin);
  const reply = readReply(socket);
  socket.write(text);
  return reply;
}

export async function readReply(socket: Socket): Promise<RawReply> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'close');
  return parseReply(Buffer.concat(chunks).toString('utf8'));
}

export function parseReply(text: string): RawReply {
  const [head = '', ...body] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [name = '', value = ''] = line.split(/: (.*)/su);
    if (Object.hasOwn(headers, name.toLowerCase())) throw new Error(`the header ${name} came twice`);
    headers[name.toLowerCase()] = value;
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: body.join('\r\n\r\n') };
}

/** A request as a browser writes it; `lines` replace the Host header when they bring one. */
export function requestText(
  redirectUri: string,
  target: string,
  lines: readonly string[] = [],
  method = 'GET',
): string {
  const host = lines.some((line) => /^host:/iu.test(line)) ? [] : [`Host: ${new URL(redirectUri).host}`];
  return [`${method} ${target} HTTP/1.1`, ...host, ...lines, '', ''].join('\r\n');
}

/** A form as a browser posts it; `lines` replace the Content-Type header when they bring one. */
export function formText(
  redirectUri: string,
  target: string,
  form: string,
  lines: readonly string[] = [],
): string {
  const type = lines.some((line) => /^content-type:/iu.test(line))
    ? []
    : ['Content-Type: application/x-www-form-urlencoded'];
  const length = `Content-Length: ${Buffer.byteLength(form)}`;
  return `${requestText(redirectUri, target, [...type, length, ...lines], 'POST')}${form}`;
}

/** Whether nobody listens there. */
export async function isRefused(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}
