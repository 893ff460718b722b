import type { ChalkInstance } from 'chalk';

/** The sixteen colours that every terminal has and that its owner has chosen. */
export async function sixteenColours(): Promise<ChalkInstance> {
  const { Chalk } = await import('chalk');
  return new Chalk({ level: 1 });
}
