/**
 * The large constants that a model carries, left in its file until a session needs them: this process takes them up once, in
 * the memory that sessions share, instead of once for the file's bytes, once for each graph that is written and once for each
 * that is read.
 */
import { randomUUID } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type TensorProto,
} from "onnx-buf";
import type { StatedFile } from "../base/file-state.js";
import {
  externalWeights,
  isFloat,
  nodeReads,
  tensorBytes,
  type ExternalWeight,
  type Graph,
} from "../onnx/index.js";
import { fileInput, leaving, Malformed, type WireField, type WireInput } from "./wire.js";

/** Constants from this many bytes on stay in their files; smaller ones may be sizes, which rules look into. */
export const keptOutside = 64 << 10;

/** Where it would save less than this share of a file it is read as a whole. */
const leastShare = 0.5;

/** The location of constants that lie in the file that names them. No model can have it. */
const here = randomUUID();

/** TensorProto's field of numbers. */
const rawData = 9;

/** The bytes of a model without its large constants, which are in the file; null for what is no model. */
export async function withoutOwnWeights(file: StatedFile, name: string): Promise<Uint8Array | null> {
  const input = fileInput(file, name);
  try {
    return await leaving(input, {
      leavesOut: (kind, { number, begin, end }) =>
        kind === "weight" && number === rawData && end - begin >= keptOutside,
      without: (_, content, left) => placed(input, content, left),
    });
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return null;
  }
}

async function placed(
  input: WireInput,
  content: Uint8Array,
  left: readonly WireField[],
): Promise<Uint8Array> {
  const [range] = left as [WireField];
  const length = range.end - range.begin;
  const tensor = fromBinary(TensorProtoSchema, content);
  if (left.length === 1 && isWhole(tensor, length)) {
    const entries = { location: here, offset: String(range.begin), length: String(length) };
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
    return toBinary(TensorProtoSchema, tensor);
  }
  const writer = new BinaryWriter().raw(content);
  for (const { begin, end } of left)
    writer.tag(rawData, WireType.LengthDelimited).bytes(await input.read(begin, end));
  return writer.finish();
}

function isWhole(tensor: TensorProto, length: number): boolean {
  const internal = tensor.dataLocation === TensorProto_DataLocation.DEFAULT;
  return internal && isFloat(tensor.dataType) && tensorBytes(tensor) === length;
}

/** Operators whose rules look into large constants. */
const curious = new Set(["ConvTranspose"]);

/** The constants of a model of {@link withoutOwnWeights} that lie in its file, and whether nobody here looks into them. */
export function ownWeights(graph: Graph): { weight: ExternalWeight; unread: boolean }[] {
  const read = new Set(graph.nodes.filter(({ opType }) => curious.has(opType)).flatMap(nodeReads));
  return externalWeights(graph)
    .filter(({ location }) => location === here)
    .map((weight) => ({ weight, unread: !read.has(weight.name) }));
}

/** Whether what can be left in a model's file is worth it. */
export function worthLeaving(graph: Graph, file: StatedFile): boolean {
  let bytes = 0;
  for (const { weight, unread } of ownWeights(graph)) if (unread) bytes += weight.length;
  return bytes >= leastShare * file.size;
}
