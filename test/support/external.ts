/** Models with external data, made of models without. */
import { create } from "@bufbuild/protobuf";
import { writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from "onnx-buf";
import { copyGraph, withFields } from "../../lib/onnx/graph.js";
import { encodeModel, type Graph } from "../../lib/onnx/index.js";

/** Writes `path`, and all weights of at least `least` bytes into `path`.bin, aligned to 64 bytes. */
export async function writeExternal(path: string, graph: Graph, least = 64): Promise<void> {
  const result = copyGraph(graph);
  const data = `${path}.bin`;
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, tensor] of result.initializers) {
    const { length } = tensor.rawData;
    if (length < least) continue;
    const entries = { location: basename(data), offset: String(at), length: String(length) };
    result.initializers.set(
      name,
      withFields(tensor, {
        rawData: new Uint8Array(),
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, value]) =>
          create(StringStringEntryProtoSchema, { key, value }),
        ),
      }),
    );
    parts.push(tensor.rawData, new Uint8Array((64 - (length % 64)) % 64));
    at += length + parts.at(-1)!.length;
  }
  await writeFile(join(dirname(path), basename(data)), Buffer.concat(parts));
  await writeFile(path, encodeModel(result));
}
