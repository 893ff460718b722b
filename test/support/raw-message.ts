/** A D-Bus message, put together by hand so that each part of it may be wrong. */
export interface RawMessage {
  readonly kind?: number;
  readonly version?: number;
  readonly serial?: number;
  readonly fields?: readonly Buffer[];
  /** Written into the field of the signature, where `fields` has none. */
  readonly signature?: string;
  readonly replySerial?: number;
  readonly body?: Buffer;
}

export function rawMessage(message: RawMessage = {}): Buffer {
  const { kind = 2, version = 1, serial = 2, signature = '', replySerial = 2 } = message;
  const body = message.body ?? Buffer.alloc(0);
  const fields = joined(
    message.fields ?? [headerField(5, 'u', uint32(replySerial)), headerField(8, 'g', shortText(signature))],
  );
  const start = Buffer.from([0x6c, kind, 0, version]);
  const header = Buffer.concat([start, uint32(body.length), uint32(serial), uint32(fields.length), fields]);
  return Buffer.concat([padded(header), body]);
}

/** @param value begins where four or fewer bytes of alignment are satisfied */
export function headerField(code: number, signature: string, value: Buffer): Buffer {
  const start = Buffer.concat([Buffer.from([code]), shortText(signature)]);
  const isAligned = signature === 'g' || signature === 'y' || signature === 'v';
  return isAligned ? Buffer.concat([start, value]) : Buffer.concat([padded(start, 4), value]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function longText(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes, Buffer.alloc(1)]);
}

/** As signatures are written. A length above 255 is cut to its lowest byte. */
export function shortText(text: string): Buffer {
  return Buffer.from(`${String.fromCharCode(text.length % 256)}${text}\0`, 'latin1');
}

/** Fields begin at multiples of 8. */
function joined(fields: readonly Buffer[]): Buffer {
  return fields.reduce((all, field) => Buffer.concat([padded(all), field]), Buffer.alloc(0));
}

function padded(bytes: Buffer, boundary = 8): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((boundary - (bytes.length % boundary)) % boundary)]);
}
