/** Weights kept in files next to the model. This folder does no I/O: the caller reads, these functions place. */
import { TensorProto_DataLocation, type StringStringEntryProto, type TensorProto } from "onnx-buf";
import { ModelError } from "../errors.js";
import { copyGraph, withFields, type Graph } from "./graph.js";
import { isExternal } from "./tensors.js";

export interface ExternalRange {
  /** A path relative to the model's folder, checked to stay inside it. */
  location: string;
  offset: number;
  /** undefined: to the end of the file. */
  length: number | undefined;
}

/**
 * Where a constant's data lies, or null for a constant that carries its own.
 *
 * @throws ModelError ERR_MODEL_INVALID for an absolute path, one that leaves the model's folder, or a bad range
 */
export function externalRange(tensor: TensorProto): ExternalRange | null {
  if (!isExternal(tensor)) return null;
  const entry = (key: string): string | undefined =>
    tensor.externalData.find((e: StringStringEntryProto) => e.key === key)?.value;
  const fail = (what: string): ModelError =>
    new ModelError("ERR_MODEL_INVALID", `constant "${tensor.name}": external data ${what}`);
  const location = entry("location") ?? "";
  if (location === "") throw fail("without a location");
  const escapes =
    /^([/\\]|[a-zA-Z]:)/.test(location) || location.includes("\0") || location.split(/[/\\]/).includes("..");
  if (escapes) throw fail(`must lie in the model's folder, got ${JSON.stringify(location)}`);
  const whole = (key: string): number | undefined => {
    const text = entry(key);
    if (text === undefined || text === "") return undefined;
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
      throw fail(`has the ${key} ${JSON.stringify(text)}, expected a whole number`);
    return value;
  };
  return { location, offset: whole("offset") ?? 0, length: whole("length") };
}

/** The files a graph's weights lie in, relative to the model's folder. */
export function externalFiles(graph: Graph): string[] {
  const files = new Set<string>();
  for (const tensor of graph.initializers.values()) {
    const range = externalRange(tensor);
    if (range) files.add(range.location);
  }
  return [...files];
}

/** A graph that carries all its weights. `read` returns the bytes of a range; they are kept as views. */
export function inlineExternal(
  graph: Graph,
  read: (location: string, offset: number, length: number | undefined) => Uint8Array,
): Graph {
  const result = copyGraph(graph);
  for (const [name, tensor] of result.initializers) {
    const range = externalRange(tensor);
    if (range === null) continue;
    const rawData = read(range.location, range.offset, range.length) as Uint8Array<ArrayBuffer>;
    if (range.length !== undefined && rawData.length !== range.length)
      throw new ModelError(
        "ERR_MODEL_INVALID",
        `constant "${name}": expected ${range.length} bytes at ${range.offset} of "${range.location}", got ${rawData.length}`,
      );
    result.initializers.set(
      name,
      withFields(tensor, { rawData, externalData: [], dataLocation: TensorProto_DataLocation.DEFAULT }),
    );
  }
  return result;
}
