import { hrtime } from 'node:process';

/** In milliseconds since some time before. `performance.now()` would load ten modules of Node, a millisecond at each start. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
