/** A JSON text in the making, which can hold what JSON forbids: a member twice, a value that is none. */
export type Piece = ObjectPiece | ArrayPiece | string;

/** Names and values that are strings here are raw text, quotes included. */
export interface ObjectPiece {
  readonly members: readonly Member[];
}

export type Member = readonly [name: string, value: Piece];

interface ArrayPiece {
  readonly items: readonly Piece[];
}

export function objectOf(value: object): ObjectPiece {
  return { members: Object.entries(value).map(([name, member]) => [JSON.stringify(name), pieceOf(member)]) };
}

function pieceOf(value: unknown): Piece {
  if (Array.isArray(value)) return { items: value.map(pieceOf) };
  return typeof value === 'object' && value !== null ? objectOf(value) : JSON.stringify(value);
}

/** @param gap whitespace between all tokens */
export function textOf(piece: Piece, gap = ''): string {
  if (typeof piece === 'string') return piece;
  if ('items' in piece)
    return enclosed(
      '[',
      piece.items.map((item) => textOf(item, gap)),
      ']',
      gap,
    );
  const members = piece.members.map(([name, value]) => `${name}${gap}:${gap}${textOf(value, gap)}`);
  return enclosed('{', members, '}', gap);
}

function enclosed(opening: string, parts: readonly string[], closing: string, gap: string): string {
  return `${opening}${gap}${parts.join(`${gap},${gap}`)}${gap}${closing}`;
}

/** JSON strings, to stand among values that are no strings. */
export function raw(...texts: readonly string[]): string[] {
  return texts.map((text) => JSON.stringify(text));
}
