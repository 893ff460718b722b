import * as v from 'valibot';

/** @param complain is told of the first mistake: where it is, and what was expected there */
export function decodeWith<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  complain: (path: string, expected: string) => never,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  if (issue.type !== 'strict_object' || issue.expected !== 'never') return complain(path, issue.message);
  const known = fieldNames(schema, path.split('.').slice(0, -1));
  return complain(path, `absent: known here are ${known.join(', ')}`);
}

function fieldNames(schema: v.GenericSchema, path: readonly string[]): string[] {
  let at = schema;
  for (const name of path) {
    const field = 'entries' in at && isFields(at.entries) ? at.entries[name] : undefined;
    at = field !== undefined && 'wrapped' in field && isSchema(field.wrapped) ? field.wrapped : schema;
  }
  return 'entries' in at && isFields(at.entries) ? Object.keys(at.entries) : [];
}

function isFields(value: unknown): value is Record<string, v.GenericSchema> {
  return typeof value === 'object' && value !== null;
}

function isSchema(value: unknown): value is v.GenericSchema {
  return isFields(value) && 'kind' in value;
}
