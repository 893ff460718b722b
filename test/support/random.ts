import { env } from 'node:process';

export const seed = env['AUTHCLI_FAULT_SEED'] ?? '1';

/** Numbers from 0 to 1 that are the same for the same seed, so that a failure can be had again (mulberry32). */
export function randomNumbers(about: string): () => number {
  let state = 0x9e3779b9;
  for (const byte of Buffer.from(`${seed} ${about}`)) state = Math.imul(state, 31) + byte;
  return () => {
    state = Math.trunc(state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
