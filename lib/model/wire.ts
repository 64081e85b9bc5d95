/** The fields of a model's bytes, one by one and wherever these lie, for those who want only some of them. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { fill, type StatedFile } from "../base/file-state.js";

/** Messages up to this many bytes come as they are. */
const small = 4096;
/** Messages within messages that are looked into; deeper ones come as they are. */
const deepest = 24;
/** Read from a file at a time. */
const windowBytes = 1 << 18;

/** Constants of the graph itself are "weight"; "tensor" are those of attributes and bodies. */
type Kind = "model" | "graph" | "body" | "node" | "attribute" | "weight" | "tensor";

/** The fields that are messages which may hold large constants. */
const within: Record<Kind, Readonly<Record<number, Kind>>> = {
  model: { 7: "graph" },
  graph: { 1: "node", 5: "weight" },
  body: { 1: "node", 5: "tensor" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "body" },
  weight: {},
  tensor: {},
};

/** Bytes of a file or of memory. */
export interface WireInput {
  readonly size: number;
  read(from: number, to: number): Promise<Uint8Array>;
}

/** They are no message. */
export class Malformed extends Error {}

export interface WireField {
  readonly number: number;
  readonly begin: number;
  readonly end: number;
}

interface WireVisitor {
  /** Whether a large field that is looked into no further is left out. */
  leavesOut(kind: Kind, field: WireField): boolean;
  /** Told of a message with what it was left out of it; what is to stand in its place. */
  without?(kind: Kind, content: Uint8Array, left: readonly WireField[]): Promise<Uint8Array>;
}

export function memoryInput(bytes: Uint8Array): WireInput {
  return { size: bytes.length, read: async (from, to) => bytes.subarray(from, to) };
}

/** @throws as fill() where the file ends early */
export function fileInput(file: StatedFile, what: string): WireInput {
  let begin = 0;
  let kept: Uint8Array = new Uint8Array(0);
  const read = async (from: number, to: number): Promise<Uint8Array> => {
    if (from < begin || to > begin + kept.length) {
      kept = new Uint8Array(Math.min(Math.max(to - from, windowBytes), file.size - from));
      begin = from;
      await fill(file, kept, from, what);
    }
    return kept.subarray(from - begin, to - begin);
  };
  return { size: file.size, read };
}

/**
 * A model without what the visitor leaves out of it.
 *
 * @throws Malformed
 */
export async function leaving(input: WireInput, visitor: WireVisitor): Promise<Uint8Array> {
  return joined(await message(input, "model", { number: 0, begin: 0, end: input.size }, 0, visitor));
}

/** The pieces of one message. */
async function message(
  input: WireInput,
  kind: Kind,
  { begin, end }: WireField,
  depth: number,
  visitor: WireVisitor,
): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  const left: WireField[] = [];
  // What comes as it is, from here on.
  let from = begin;
  const flush = async (to: number): Promise<void> => {
    if (to > from) pieces.push(Uint8Array.from(await input.read(from, to)));
  };
  for (let at = begin; at < end;) {
    const field = await fieldAt(input, at, end);
    if (field.end - field.begin > small && depth < deepest) {
      const inner = within[kind][field.number];
      if (inner !== undefined) {
        await flush(at);
        const content = await message(input, inner, field, depth + 1, visitor);
        const length = content.reduce((sum, piece) => sum + piece.length, 0);
        pieces.push(new BinaryWriter().tag(field.number, WireType.LengthDelimited).uint32(length).finish());
        for (const piece of content) pieces.push(piece);
        from = field.end;
      } else if (visitor.leavesOut(kind, field)) {
        await flush(at);
        left.push(field);
        from = field.end;
      }
    }
    at = field.end;
  }
  await flush(end);
  if (left.length === 0 || !visitor.without) return pieces;
  return [await visitor.without(kind, joined(pieces), left)];
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}

/** Where a field's content lies. */
async function fieldAt(input: WireInput, at: number, end: number): Promise<WireField> {
  const head = await input.read(at, Math.min(at + 20, end));
  let place = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; place < head.length && scale < 2 ** 70; scale *= 128) {
      const byte = head[place++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Malformed("a number does not end");
  };
  const tag = varint();
  const [number, wire] = [Math.floor(tag / 8), tag % 8];
  let length: number;
  if (wire === 0) {
    const before = place;
    varint();
    length = place - before;
    place = before;
  } else if (wire === 1) length = 8;
  else if (wire === 5) length = 4;
  else if (wire === 2) length = varint();
  else throw new Malformed(`a field of kind ${wire}`);
  const begin = at + place;
  if (!(begin + length <= end)) throw new Malformed("a field ends outside of its message");
  return { number, begin, end: begin + length };
}
