/** Protobuf's wire format by hand: the encodings that are legal and that no library writes. */

/** A number in at least `bytes` bytes: the shortest form is not the only one. */
export function varint(value: number | bigint, bytes = 1): number[] {
  const out: number[] = [];
  let rest = BigInt(value);
  while (rest > 127n || out.length + 1 < bytes) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}

export function number(field: number, value: number | bigint, bytes = 1): number[] {
  return [...varint(8 * field, bytes), ...varint(value, bytes)];
}

export function message(field: number, content: readonly number[] | Uint8Array, bytes = 1): number[] {
  return [...varint(8 * field + 2, bytes), ...varint(content.length, bytes), ...content];
}

export function text(field: number, value: string): number[] {
  return message(field, new TextEncoder().encode(value));
}

/** A field that nobody knows, as a group with another inside. */
export function group(field: number): number[] {
  return [
    ...varint(8 * field + 3),
    ...number(1, 5),
    ...varint(8 * 9 + 3),
    ...varint(8 * 9 + 4),
    ...varint(8 * field + 4),
  ];
}
