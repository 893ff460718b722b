import { env } from 'node:process';

/** At full length, as `npm run test:hostile` runs; `npm test` takes fewer of everything. */
export const isFull = env['AUTHCLI_HOSTILE'] === 'full';

/** Multiplies limits of time: `npm test` shares the machine with all other tests. */
export const patience = isFull ? 1 : 3;
