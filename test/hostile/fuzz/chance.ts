import { randomNumbers } from '../../support/random.js';

/** Every choice that makes one input; the same choices for the same seed. */
export class Chance {
  readonly #next: () => number;

  constructor(seed: string) {
    this.#next = randomNumbers(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  happens(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T extends {}>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new Error('there is nothing to choose from');
    return choice;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.#next() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}
