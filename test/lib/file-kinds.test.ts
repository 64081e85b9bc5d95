/** Files in a model's place that are none: each is named as what it is, with a way to a model. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, deflateSync } from "node:zlib";
import { differentiateModel, loadModel, loadTokenizer, Tr0n } from "../../lib/index.js";
import { kindOf, kinds, type FileKind } from "../../lib/base/file-kinds.js";
import { encodeSafetensors } from "../../lib/base/safetensors.js";
import { tr0n as program } from "../support/cli.js";
import { random } from "../support/numbers.js";
import { rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";

const latin = (text: string): Buffer => Buffer.from(text, "latin1");
const at = (place: number, mark: string): Buffer =>
  Buffer.concat([Buffer.alloc(place), latin(mark), Buffer.alloc(600)]);

/** An archive of empty files, with or without the sizes of zip64. */
function zip(names: readonly string[], wide = false): Buffer {
  const parts: Buffer[] = [];
  const list: Buffer[] = [];
  let place = 0;
  for (const name of names) {
    const local = Buffer.alloc(30);
    local.write("PK\x03\x04", "latin1");
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.write("PK\x01\x02", "latin1");
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(place, 42);
    parts.push(local, latin(name));
    list.push(entry, latin(name));
    place += 30 + name.length;
  }
  const length = list.reduce((sum, part) => sum + part.length, 0);
  const ends: Buffer[] = [];
  if (wide) {
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(BigInt(length), 40);
    record.writeBigUInt64LE(BigInt(place), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(place + length), 8);
    ends.push(record, locator);
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt32LE(wide ? 0xffffffff : length, 12);
  end.writeUInt32LE(wide ? 0xffffffff : place, 16);
  return Buffer.concat([...parts, ...list, ...ends, end]);
}

/** A message of protobuf: fields by number, a number or bytes each. */
function message(...fields: [number, number | Buffer][]): Buffer {
  const varint = (x: number): Buffer =>
    x < 128 ? Buffer.of(x) : Buffer.concat([Buffer.of((x & 127) | 128), varint(x >> 7)]);
  return Buffer.concat(
    fields.flatMap(([field, value]) =>
      typeof value === "number"
        ? [varint(field * 8), varint(value)]
        : [varint(field * 8 + 2), varint(value.length), value],
    ),
  );
}

const tensors = new Map([["w", { data: Float32Array.of(1, 2), shape: [2] }]]);
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value, null, 2));

/** Bytes of each kind, or several. */
const samples: Readonly<Record<keyof typeof kinds, readonly Uint8Array[]>> = {
  pickle: [
    latin("\x80\x02}q\x00."),
    latin("\x80\x04\x95"),
    latin("\x80\x05K\x01."),
    deflateSync(Buffer.alloc(99)),
  ],
  torchWeights: [
    zip(["model/data.pkl", "model/version", "model/data/0"]),
    zip(["archive/data.pkl", "archive/.format_version", "archive/byteorder", "archive/data/0"], true),
  ],
  safetensors: [encodeSafetensors(tensors), encodeSafetensors(tensors, new Map([["format", "pt"]]))],
  torchProgram: [
    zip(["m/archive_format", "m/models/model.json"]),
    zip(["serialized_exported_program.json", "version"]),
  ],
  keras: [zip(["metadata.json", "config.json", "model.weights.h5"])],
  hdf5: [latin("\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08")],
  kerasJson: [json({ class_name: "Functional", config: { layers: [] }, keras_version: "2.11.0" })],
  savedModel: [
    message([1, 1], [2, latin("tensorflow serve")]),
    zip(["m/saved_model.pb", "m/variables/variables.index"]),
  ],
  graphDef: [message([1, message([1, latin("x")], [2, latin("Placeholder")])], [4, message([1, 27])])],
  tflite: [latin("\x1c\0\0\0TFL3\x14\0 \0"), latin("\x08\0\0\0TFL3\0\0\0\0")],
  tfjs: [
    json({ format: "graph-model", modelTopology: {} }),
    json({ modelTopology: {}, weightsManifest: [] }),
  ],
  ort: [latin("\x1c\0\0\0ORTM\0\0\0\0")],
  openvino: [latin('<?xml version="1.0"?>\n<net name="resnet" version="11">')],
  coreml: [message([1, 4], [2, message([1, message([1, latin("x")])])], [500, latin("layers")])],
  tensorrt: [latin("ptrt\x18\0\0\0"), latin("ftrt\0\0\0\0")],
  executorch: [latin("\x38\0\0\0ET12\x04\0")],
  gguf: [latin("GGUF\x03\0\0\0"), latin("lmgg\0"), latin("tjgg\x01")],
  caffe: [latin('name: "LeNet"\nlayer {\n'), latin('# a net\nlayer {\n  name: "data"')],
  ncnn: [latin("7767517\n75 83\n")],
  xgboost: [
    latin("tree\nversion=v4\nnum_class=1"),
    json({ learner: { attributes: {} }, version: [1, 7, 0] }),
  ],
  pmml: [latin('<?xml version="1.0"?>\n<PMML version="4.4">')],
  matlab: [latin("MATLAB 5.0 MAT-file, Platform: GLNXA64")],
  torchserve: [zip(["MAR-INF/MANIFEST.json", "model.py"])],
  lfs: [latin("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 98\n")],
  html: [
    latin("<!DOCTYPE html>\n<html>"),
    latin("\n <html lang=en>"),
    latin('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC'),
  ],
  downloadError: [
    latin('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'),
    json({ error: "Repository not found" }),
    latin("Entry not found"),
    latin("404: Not Found"),
  ],
  gzip: [gzipSync("model")],
  bzip2: [latin("BZh91AY&SY")],
  xz: [latin("\xfd7zXZ\0\0\x04")],
  zstd: [latin("\x28\xb5\x2f\xfd\x04\x58")],
  sevenZip: [latin("7z\xbc\xaf\x27\x1c\0\x04")],
  rar: [latin("Rar!\x1a\x07\x01\0")],
  tar: [at(257, "ustar\x0000")],
  zip: [zip(["readme.txt"]), zip(["word/document.xml", "[Content_Types].xml"])],
  npz: [zip(["w.npy", "b.npy"])],
  npy: [latin("\x93NUMPY\x01\0v\0{'descr': '<f4'")],
  huggingface: [
    json({ architectures: ["CLIPModel"], model_type: "clip" }),
    json({ _class_name: "AutoencoderKL" }),
  ],
  tokenizer: [
    json({ version: "1.0", truncation: null, padding: null, added_tokens: [] }),
    json({ kind: "words", vocabulary: [] }),
  ],
  configuration: [json({ generator: "g.onnx", encoder: "f.onnx" })],
  translator: [encodeSafetensors(tensors, new Map([["format", "tr0n-translator"]]))],
  onnx: [],
  torchscript: [],
  json: [json([1, 2, 3]), json({ a: 1 })],
  xml: [latin('<?xml version="1.0"?>\n<graph>')],
  image: [
    latin("\x89PNG\r\n\x1a\n"),
    latin("\xff\xd8\xff\xe0"),
    latin("GIF89a"),
    latin("RIFF\x10\0\0\0WEBPVP8 "),
    latin("II*\0\x08\0\0\0"),
    latin("\0\0\0 ftypavif"),
    latin('<svg xmlns="http://www.w3.org/2000/svg">'),
  ],
  media: [latin("RIFF\x10\0\0\0WAVEfmt "), latin("\0\0\0 ftypisom"), latin("OggS\0\x02"), latin("ID3\x04\0")],
  pdf: [latin("%PDF-1.7\n")],
  database: [latin("SQLite format 3\0"), latin("PAR1\x15\x04")],
  python: [latin("import torch\n\nclass Net(torch.nn.Module):\n"), latin("# a net\nfrom torch import nn\n")],
  program: [latin("\x7fELF\x02\x01\x01"), latin("MZ\x90\0"), latin("#!/bin/sh\n")],
  text: [latin("this is no model at all\n")],
  zeros: [Buffer.alloc(4096)],
};

const named = ({ is, then }: FileKind): RegExp =>
  new RegExp(
    `expected an ONNX model or TorchScript, got ${is.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&")}\\. ${then.slice(0, 12).replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&")}`,
  );

describe("files that are no models", () => {
  for (const [name, files] of Object.entries(samples))
    if (files.length > 0)
      it(`${name}: named as what it is, with a way to a model`, async () => {
        const kind: FileKind = kinds[name as keyof typeof kinds];
        assert.match(kind.is, /^(a|an|JSON|XML|arrays|zeros|the) ?/);
        assert.ok(kind.then.length > 20);
        for (const bytes of files) {
          // In an archive what is inside is named, too.
          const inZip = bytes[0] === 0x50 && bytes[1] === 0x4b && name === "savedModel";
          const wanted = inZip
            ? /got a TensorFlow SavedModel in a zip archive\. Convert the folder/
            : named(kind);
          await rejects(loadModel(bytes), "ERR_MODEL_INVALID", wanted);
          await withFolder(async (folder) => {
            const path = join(folder, "model.onnx");
            await writeFile(path, bytes);
            const error = await rejects(loadModel(path), "ERR_MODEL_INVALID", wanted);
            assert.ok(error.message.startsWith(`${path}: `));
            await rejects(differentiateModel(path), "ERR_MODEL_INVALID", wanted);
          });
        }
      });

  it("an empty file, a model within an archive, and an archive that ends early", async () => {
    await rejects(
      loadModel(new Uint8Array(0)),
      "ERR_MODEL_INVALID",
      /got an empty file\. Download or export it again/,
    );
    await rejects(
      loadModel(zip(["a/net.onnx", "a/README"])),
      "ERR_MODEL_INVALID",
      /a zip archive with a\/net\.onnx inside\. Unpack it/,
    );
    // What may be TorchScript is libtorch's to judge.
    for (const bytes of [
      zip(["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"]),
      zip(["m/data.pkl"]).subarray(0, 40),
    ])
      assert.doesNotMatch((await rejects(loadModel(bytes), "ERR_MODEL_INVALID")).message, /torch\.save/);
  });

  it("folders, by what lies in them", async () => {
    await withFolder(async (folder) => {
      const make = async (name: string, ...files: string[]): Promise<string> => {
        for (const file of files) {
          await mkdir(join(folder, name, file, ".."), { recursive: true });
          await writeFile(join(folder, name, file), "x");
        }
        return join(folder, name);
      };
      await mkdir(join(folder, "empty"));
      for (const [path, message] of [
        [
          await make("tf", "saved_model.pb"),
          /the folder of a TensorFlow SavedModel\. Convert .*python -m tf2onnx\.convert --saved-model .*tf --output/,
        ],
        [
          await make("hf", "config.json", "model.safetensors"),
          /the folder of a HuggingFace model\. .*optimum-cli export onnx --model .*hf OUT/,
        ],
        [await make("out", "b.onnx", "a.onnx"), /got a folder\. Give a file: it holds a\.onnx, b\.onnx/],
        [await make("core", "Manifest.json", "Data/x"), /a Core ML package/],
        [join(folder, "empty"), /expected a model file, got a folder/],
      ] as const)
        await rejects(loadModel(path), "ERR_MODEL_NOT_FOUND", message);
    });
  });

  it("models are not taken for any of them, nor is what a model may begin with", () => {
    const next = random(7);
    for (const bytes of [tinyGenerator(), tinyEncoder()]) assert.equal(kindOf(bytes, bytes.length), null);
    for (const mark of ["ftyp", "TFL3", "ORTM", "ET1", "WAVE", "WEBP"]) {
      const model = message([1, 8], [2, latin(`${mark} exporter of somebody`)], [7, Buffer.alloc(40)]);
      assert.equal(kindOf(model, model.length), null, mark);
    }
    for (let round = 0; round < 200; round++) {
      const noise = Buffer.from(Array.from({ length: 300 }, () => Math.floor(256 * next())));
      const model = message([1, 1 + (round % 12)], [2, noise.subarray(0, round)], [7, noise]);
      assert.equal(kindOf(model, model.length), null);
    }
  });
});

describe("files in other places than a model's", () => {
  it("are named by the command line and the library", async () => {
    await withFolder(async (folder) => {
      const path = (name: string): string => join(folder, name);
      await writeFile(path("g.onnx"), tinyGenerator());
      await writeFile(path("f.onnx"), tinyEncoder());
      await writeFile(path("lfs"), samples.lfs[0]!);
      const models = { generator: path("g.onnx"), encoder: path("f.onnx") };
      await rejects(
        Tr0n.load(path("g.onnx"), models),
        "ERR_FILE_INVALID",
        /it is an ONNX model, as it seems/,
      );
      await rejects(Tr0n.load(path("lfs"), models), "ERR_FILE_INVALID", /it is a Git LFS pointer/);
      await rejects(
        loadTokenizer(path("lfs")),
        "ERR_FILE_INVALID",
        /expected JSON, such as a tokenizer\.json, got a Git LFS pointer/,
      );
      await rejects(loadTokenizer(path("g.onnx")), "ERR_FILE_INVALID", /got an ONNX model/);
      const line = ["--generator", path("lfs"), "--encoder", path("f.onnx")];
      const { code, error } = await program(["train", ...line, "-n", "200", "-o", path("t.safetensors")]);
      assert.equal(code, 1);
      assert.match(error, /lfs: expected an ONNX model or TorchScript, got a Git LFS pointer.*git lfs pull/);
      for (const command of [["inspect"], ["differentiate", "-o", path("o.onnx")]])
        assert.match((await program([...command, path("lfs")])).error, /Git LFS pointer/);
    });
  });
});
