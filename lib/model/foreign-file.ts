/** What a file is that is no model: looked at before anything is made of it, and once more where nothing could be. */
import { readdir } from "node:fs/promises";
import { ModelError } from "../base/errors.js";
import { headBytes, kindOf, kinds, type FileKind } from "../base/file-kinds.js";

/** Bytes of a file or of memory; fewer come where it ends. */
export interface Readable {
  readonly size: number;
  read(at: number, length: number): Promise<Uint8Array>;
}

/** @throws ModelError ERR_MODEL_INVALID for what is certainly no model */
export async function formatOf(name: string, file: Readable): Promise<"onnx" | "torchscript"> {
  if (file.size === 0) throw noModel(name, { is: "an empty file", then: "Download or export it again" });
  const head = await file.read(0, headBytes);
  const zip = isZip(head);
  const kind = zip ? kindOfZip(await zipNames(file)) : kindOf(head, file.size);
  if (kind) throw noModel(name, kind);
  return zip ? "torchscript" : "onnx";
}

/** The error of a file that the runtime refuses, in words of what it is; null where nobody knows. */
export async function explained(name: string, file: Readable): Promise<ModelError | null> {
  const kind = await kindOfFields(file);
  return kind && noModel(name, kind);
}

/** The error of a folder in a model's place; null where its content tells nothing. */
export async function folderError(name: string, path: string): Promise<ModelError | null> {
  const names = await readdir(path).catch(() => null);
  if (names === null) return null;
  const has = (file: string): boolean => names.includes(file);
  const models = names.filter((file) => /\.(onnx|pt|pth|ts)$/i.test(file)).sort();
  const is = "a folder";
  const kind: FileKind | null = has("saved_model.pb")
    ? { is: "the folder of a TensorFlow SavedModel", then: kinds.savedModel.then.replace("FOLDER", name) }
    : has("Manifest.json") && has("Data")
      ? { is: "a Core ML package", then: kinds.coreml.then }
      : models.length > 0
        ? {
            is,
            then: `Give a file: it holds ${models.slice(0, 5).join(", ")}${models.length > 5 ? ", …" : ""}`,
          }
        : has("config.json") || has("model_index.json")
          ? { is: "the folder of a HuggingFace model", then: kinds.huggingface.then.replace("FOLDER", name) }
          : null;
  return kind && noModel(name, kind, "ERR_MODEL_NOT_FOUND");
}

function noModel(
  name: string,
  { is, then }: FileKind,
  code: "ERR_MODEL_INVALID" | "ERR_MODEL_NOT_FOUND" = "ERR_MODEL_INVALID",
): ModelError {
  return new ModelError(code, `${name}: expected an ONNX model or TorchScript, got ${is}. ${then}`);
}

function isZip(head: Uint8Array): boolean {
  return head[0] === 0x50 && head[1] === 0x4b && [3, 5, 7].includes(head[2]!);
}

/** What lies in a zip archive, of which no name says that it is TorchScript; null where one does, or there are none. */
function kindOfZip(names: readonly string[]): FileKind | null {
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  if (names.length === 0 || has(/(^|\/)(code\/|constants\.pkl$)/)) return null;
  if (has(/^model\.weights\.h5$/) || (has(/^config\.json$/) && has(/^metadata\.json$/))) return kinds.keras;
  if (names.every((name) => name.endsWith(".npy"))) return kinds.npz;
  if (has(/(^|\/)(serialized_exported_program\.json|archive_format|models\/[^/]+\.json)$/))
    return kinds.torchProgram;
  if (has(/(^|\/)data\.pkl$/)) return kinds.torchWeights;
  if (has(/^MAR-INF\//)) return kinds.torchserve;
  if (has(/(^|\/)saved_model\.pb$/))
    return { ...kinds.savedModel, is: "a TensorFlow SavedModel in a zip archive" };
  if (has(/(^|\/)Data\/com\.apple\.CoreML\//)) return kinds.coreml;
  const inside = names.filter((name) => /\.(onnx|pt|pth|h5|keras|pb|tflite)$/i.test(name));
  if (inside.length > 0)
    return { is: `a zip archive with ${inside.slice(0, 3).join(", ")} inside`, then: kinds.zip.then };
  // What libtorch wrote long ago has these; it says itself what is wrong with the rest.
  return has(/(^|\/)(model\.json|version|data\/)/) ? null : kinds.zip;
}

/** Bytes of an archive's end in which its list of names is looked for. */
const endBytes = 66_000;
const mostNames = 4096;

/** The names in a zip archive's directory; none where it has no sound one. */
async function zipNames(file: Readable): Promise<string[]> {
  const from = Math.max(0, file.size - endBytes);
  const tail = Buffer.from(await file.read(from, Math.min(file.size, endBytes)));
  const end = tail.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0 || end + 22 > tail.length) return [];
  const [length, offset] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
  // Before the list of a large archive, whose sizes are elsewhere, there is its own end: the names lie right before that.
  const begin =
    offset === 0xffffffff || offset + length > file.size ? await largeDirectory(file, tail, from) : offset;
  if (begin === null) return [];
  const list = Buffer.from(await file.read(begin, Math.min(file.size - begin, 1 << 20)));
  const names: string[] = [];
  for (
    let at = 0;
    at + 46 <= list.length && list.readUInt32LE(at) === 0x02014b50 && names.length < mostNames;
  ) {
    const [name, extra, comment] = [28, 30, 32].map((field) => list.readUInt16LE(at + field)) as [
      number,
      number,
      number,
    ];
    names.push(list.toString("utf8", at + 46, at + 46 + name));
    at += 46 + name + extra + comment;
  }
  return names;
}

/** Where the list of a zip64 archive begins. */
async function largeDirectory(file: Readable, tail: Buffer, from: number): Promise<number | null> {
  const locator = tail.lastIndexOf("PK\x06\x07", undefined, "latin1");
  if (locator < 0 || locator + 20 > tail.length) return null;
  const at = Number(tail.readBigUInt64LE(locator + 8));
  const record = at >= from ? tail.subarray(at - from, at - from + 56) : Buffer.from(await file.read(at, 56));
  if (record.length < 56 || record.readUInt32LE(0) !== 0x06064b50) return null;
  const begin = Number(record.readBigUInt64LE(48));
  return begin < file.size ? begin : null;
}

/** Protobuf files of others than ONNX, by the numbers of their fields. */
async function kindOfFields(file: Readable): Promise<FileKind | null> {
  const fields: (readonly [field: number, type: number])[] = [];
  for (let at = 0; at < file.size && fields.length < 256;) {
    const bytes = await file.read(at, 20);
    const tag = varint(bytes, 0);
    if (!tag || tag.value < 8) return null;
    const [field, type] = [Math.floor(tag.value / 8), tag.value % 8];
    fields.push([field, type]);
    const length = type === 0 || type === 2 ? varint(bytes, tag.end) : null;
    if (type === 0 && length) at += length.end;
    else if (type === 2 && length) at += length.end + length.value;
    else if (type === 1 || type === 5) at += tag.end + (type === 1 ? 8 : 4);
    else return null;
    if (at > file.size) return null;
  }
  const all = (...known: number[]): boolean =>
    fields.length > 0 && fields.every(([field]) => known.includes(field));
  const [first] = fields;
  if (fields.some(([field]) => field >= 200) && first?.[0] === 1 && first[1] === 0) return kinds.coreml;
  if (all(1, 2) && first?.[0] === 1 && first[1] === 0 && fields.length > 1) return kinds.savedModel;
  if (all(1, 2, 3, 4) && first?.[0] === 1 && first[1] === 2) return kinds.graphDef;
  return null;
}

function varint(bytes: Uint8Array, from: number): { value: number; end: number } | null {
  let value = 0;
  for (let at = from; at < bytes.length && at < from + 8; at++) {
    value += (bytes[at]! & 127) * 2 ** (7 * (at - from));
    if (bytes[at]! < 128) return { value, end: at + 1 };
  }
  return null;
}
