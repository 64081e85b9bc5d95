/**
 * A model without the numbers of its large constants: what says which nodes it has and how large its values are, read from a
 * file of any size in a few pieces. It is looked at before the runtime opens the file, for there are small files that the
 * runtime does not survive.
 */
import { open, type FileHandle } from "node:fs/promises";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { memoryLimit } from "../native/devices.js";
import { ModelError } from "../base/errors.js";
import { decodeSteps, inlineFunctions, LimitError, sizeSteps, type Graph } from "../onnx/index.js";
import { inSlices } from "./slices.js";

/** Messages up to this many bytes come as they are. */
const small = 4096;
/** Messages within messages that are looked into; deeper ones come as they are. */
const deepest = 24;
/** Read from the file at a time. */
const windowBytes = 1 << 18;

/** The fields that are messages which may hold large constants. */
const within: Record<string, Readonly<Record<number, string>>> = {
  model: { 7: "graph" },
  graph: { 1: "node", 5: "tensor" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph" },
  tensor: {},
};

/** Bytes of a file or of memory. */
interface Input {
  readonly size: number;
  read(from: number, to: number): Promise<Uint8Array>;
}

class Malformed extends Error {}

/**
 * Refuses a model that the runtime would not survive. Anything else that is wrong with it the runtime says itself. Returns the
 * graph without the numbers of its large constants; null where it cannot be read.
 *
 * @throws ModelError ERR_MODEL_UNSUPPORTED for what nests too deeply, has too many nodes, or does not fit into memory
 */
export async function checkBeforeOpening(source: string | Uint8Array, name: string): Promise<Graph | null> {
  try {
    const decoding = decodeSteps(await outlined(source), name);
    const graph = await inSlices("reading a model", decoding);
    await checkGraph(graph, name);
    return graph;
  } catch (error) {
    if (error instanceof LimitError) throw error;
    // A file that cannot be read, or is no model: opening it will say so.
    if (!(error instanceof ModelError || error instanceof Malformed || isSystemError(error))) throw error;
    return null;
  }
}

/** As {@link checkBeforeOpening}, for a graph. */
export async function checkGraph(graph: Graph, name: string, signal?: AbortSignal): Promise<void> {
  try {
    const checking = sizeSteps(inlineFunctions(graph), memoryLimit(), name);
    await inSlices("reading a model", checking, signal);
  } catch (error) {
    if (error instanceof LimitError || !(error instanceof ModelError)) throw error;
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

async function outlined(source: string | Uint8Array): Promise<Uint8Array> {
  if (source instanceof Uint8Array)
    return outline({ size: source.length, read: async (from, to) => source.subarray(from, to) });
  const file = await open(source, "r");
  try {
    return await outline(await fileInput(file));
  } finally {
    await file.close();
  }
}

async function fileInput(file: FileHandle): Promise<Input> {
  const { size } = await file.stat();
  let begin = 0;
  let kept = Buffer.alloc(0);
  const read = async (from: number, to: number): Promise<Uint8Array> => {
    if (from < begin || to > begin + kept.length) {
      const buffer = Buffer.alloc(Math.min(Math.max(to - from, windowBytes), size - from));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
      [begin, kept] = [from, buffer.subarray(0, bytesRead)];
      if (to > begin + bytesRead) throw new Malformed("it ends early");
    }
    return kept.subarray(from - begin, to - begin);
  };
  return { size, read };
}

async function outline(input: Input): Promise<Uint8Array> {
  return Buffer.concat(await message(input, "model", 0, input.size, 0));
}

/** The pieces of one message. */
async function message(
  input: Input,
  kind: string,
  begin: number,
  end: number,
  depth: number,
): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  // What comes as it is, from here on.
  let from = begin;
  const flush = async (to: number): Promise<void> => {
    if (to > from) pieces.push(Uint8Array.from(await input.read(from, to)));
  };
  for (let at = begin; at < end;) {
    const field = await fieldAt(input, at, end);
    if (field.end - field.begin > small && depth < deepest) {
      const inner = within[kind]![field.number];
      if (inner !== undefined) {
        await flush(at);
        const content = await message(input, inner, field.begin, field.end, depth + 1);
        const length = content.reduce((sum, piece) => sum + piece.length, 0);
        pieces.push(new BinaryWriter().tag(field.number, WireType.LengthDelimited).uint32(length).finish());
        for (const piece of content) pieces.push(piece);
        from = field.end;
      } else if (kind === "tensor") {
        await flush(at);
        from = field.end;
      }
    }
    at = field.end;
  }
  await flush(end);
  return pieces;
}

/** Where a field's content lies. */
async function fieldAt(
  input: Input,
  at: number,
  end: number,
): Promise<{ number: number; begin: number; end: number }> {
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
