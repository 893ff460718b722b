import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';

import type { Answer } from '../support/provider.js';
import type { Machine } from '../support/run.js';

const json = { 'content-type': 'application/json' };

/** Well-formed as far as it goes, and it goes on until the reader has had enough. */
export function endless(status = 200): Answer {
  return async (_request, response) => {
    response.writeHead(status, json).write('{"x":"');
    // The end of it is the reader's doing.
    await pipeline(Readable.from(filler()), response).catch(() => {});
  };
}

function* filler(): Generator<Buffer> {
  const chunk = Buffer.alloc(65_536, 'x');
  for (;;) yield chunk;
}

/** One byte a second, for ever. */
export const drip: Answer = async (_request, response) => {
  response.writeHead(200, json).write('{');
  const dripping = setInterval(() => response.write(' '), 1000);
  await once(response, 'close');
  clearInterval(dripping);
};

const quickGzip = (whole: Buffer) => gzipSync(whole, { level: 1 });

const packers = {
  gzip: quickGzip,
  deflate: deflateSync,
  br: (whole: Buffer) => brotliCompressSync(whole, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  'gzip, gzip': (whole: Buffer) => gzipSync(quickGzip(whole)),
};

const packed = new Map<string, Buffer>();

/** 100 MiB that travel as 100 KiB or much less, packed in a way that HTTP knows. */
export function bomb(encoding: keyof typeof packers): Answer {
  return async (_request, response) => {
    const body = packed.get(encoding) ?? packers[encoding](Buffer.alloc(100 * 1024 * 1024, '{'));
    packed.set(encoding, body);
    response.writeHead(200, { ...json, 'content-encoding': encoding }).end(body);
  };
}

/** How much memory a program of this machine has held at its peak, told at its end. */
export interface PeakMemory {
  /** For the environment of the program. */
  readonly env: { readonly NODE_OPTIONS: string };
  mebibytes(): number;
}

export function peakMemory({ folder }: Machine): PeakMemory {
  const hook = join(folder, 'peak-memory.cjs');
  const report = join(folder, 'peak-memory');
  // Not `resourceUsage().maxRSS`: it counts what the process was before it became this program.
  writeFileSync(
    hook,
    `const { readFileSync, writeFileSync } = require('node:fs');
process.on('exit', () => writeFileSync(${JSON.stringify(report)}, readFileSync('/proc/self/status')));`,
  );
  return {
    env: { NODE_OPTIONS: `--require=${hook}` },
    mebibytes() {
      const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(report, 'utf8')) ?? [];
      return Number(kibibytes) / 1024;
    },
  };
}
