/** Which files a model may read, wherever and however it names them, and what becomes of it when they change. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
  type TensorProto,
} from "onnx-buf";
import { differentiateModel, energy, loadModel, tensor, Tr0n, type Tensor } from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import {
  Builder,
  DataType,
  emptyGraph,
  encodeModel,
  externalFiles,
  decodeModel,
  type Graph,
} from "../../lib/onnx/index.js";
import { modelFile } from "../support/demo.js";
import { finish } from "../support/process.js";
import { group, message, number, text, varint } from "../support/wire.js";
import { random, uniform } from "../support/numbers.js";

const width = 160; // 100 kB of weights: they stay outside
const weights = Float32Array.from(uniform(random(3), width * width));
const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const x = tensor(uniform(random(1), 2 * width), [2, width]);
const expected = (() => {
  const y = new Float64Array(2 * width);
  for (let row = 0; row < 2; row++)
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++)
        y[row * width + j]! += x.data[row * width + i]! * weights[i * width + j]!;
  return y;
})();

function close({ data }: Tensor): void {
  data.forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-4, `${value} for ${expected[i]}`));
}

const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });

/** The weights as they lie in a file. */
function external(name: string, location: string, more: Record<string, string> = {}): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: DataType.FLOAT,
    dims: [BigInt(width), BigInt(width)],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries({ location, ...more }).map(([key, value]) => entry(key, value)),
  });
}

/** x [batch, width] → x·w, where w is what `add` makes of the graph. */
function product(add: (b: Builder) => string): Graph {
  const b = new Builder(emptyGraph("product", 17));
  const w = add(b);
  b.output("y", b.op("MatMul", [b.input("x", DataType.FLOAT, ["batch", width]), w]));
  return b.graph;
}

/** With the weights as an initializer. */
function plain(location: string, more: Record<string, string> = {}): Uint8Array {
  return encodeModel(
    product((b) => {
      b.graph.initializers.set("w", external("w", location, more));
      return "w";
    }),
  );
}

const tensorValue = (name: string, t: TensorProto) =>
  create(AttributeProtoSchema, { name, type: Type.TENSOR, t });

/** Where a model can hold a tensor, beside its initializers. */
const places: Record<string, (location: string) => Graph> = {
  "a Constant": (location) =>
    product((b) => {
      b.graph.nodes.push({
        ...{ opType: "Constant", domain: "", name: "held", overload: "", inputs: [], outputs: ["held"] },
        attributes: new Map([["value", tensorValue("value", external("", location))]]),
      });
      return "held";
    }),
  "the body of an If": (location) =>
    product((b) => {
      const branch = (name: string) =>
        create(GraphProtoSchema, {
          name,
          initializer: [external(`${name}_w`, location)],
          node: [
            create(NodeProtoSchema, { opType: "Identity", input: [`${name}_w`], output: [`${name}_out`] }),
          ],
          output: [create(ValueInfoProtoSchema, { name: `${name}_out` })],
        });
      const attribute = (name: string) =>
        create(AttributeProtoSchema, { name, type: Type.GRAPH, g: branch(name) });
      const condition = b.op("Greater", [b.op("Size", ["x"]), b.ints([0])]);
      b.graph.nodes.push({
        ...{
          opType: "If",
          domain: "",
          name: "chosen",
          overload: "",
          inputs: [condition],
          outputs: ["chosen"],
        },
        attributes: new Map([
          ["then_branch", attribute("then_branch")],
          ["else_branch", attribute("else_branch")],
        ]),
      });
      return "chosen";
    }),
  "a function": (location) =>
    product((b) => {
      const constant = create(NodeProtoSchema, {
        opType: "Constant",
        output: ["inner"],
        attribute: [tensorValue("value", external("", location))],
      });
      b.graph.opsets.set("own", 1);
      b.graph.functions.push(
        create(FunctionProtoSchema, {
          name: "Held",
          domain: "own",
          output: ["inner"],
          node: [constant],
          opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: 17n })],
        }),
      );
      b.graph.nodes.push({
        ...{ opType: "Held", domain: "own", name: "held", overload: "", inputs: [], outputs: ["held"] },
        attributes: new Map(),
      });
      return "held";
    }),
};

/** Encodings of one initializer that mean the same. */
const location = [...text(1, "location"), ...text(2, "w.bin")];
const turned = [...text(2, "w.bin"), ...text(1, "location")];
const head = [...number(1, width), ...number(1, width), ...number(2, DataType.FLOAT), ...text(8, "w")];
const outside = number(14, TensorProto_DataLocation.EXTERNAL);
const encodings: Record<string, number[]> = {
  "the usual order": message(5, [...head, ...message(13, location), ...outside]),
  "value before key": message(5, [...head, ...message(13, turned), ...outside]),
  "data_location before all": message(5, [...outside, ...message(13, turned), ...head]),
  "long varints": message(5, [...head, ...message(13, turned, 5), ...number(14, 1, 5)], 5),
  "data_location of ten bytes": message(5, [...head, ...message(13, turned), ...number(14, 2n ** 40n + 1n)]),
  "given twice": message(5, [...head, ...message(13, turned), ...number(14, 0), ...outside]),
  "packed dimensions": message(5, [
    ...message(1, [...varint(width), ...varint(width)]),
    ...number(2, DataType.FLOAT),
    ...text(8, "w"),
    ...message(13, turned),
    ...outside,
  ]),
  "fields and groups that nobody knows": [
    ...group(1000),
    ...message(5, [...group(900), ...head, ...message(13, [...group(77), ...turned]), ...outside]),
  ],
};

describe("what a model may read", function () {
  this.timeout(60_000);
  let folder: string;
  let home: string;
  const path = (name: string): string => join(folder, name);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tr0n-rules-"));
    home = process.cwd();
    await writeFile(path("w.bin"), bytesOf(weights));
  });
  afterEach(async () => {
    process.chdir(home);
    await rm(folder, { recursive: true, force: true });
  });

  /** A graph without its initializer, and that in an encoding of its own, as a second part of the same graph. */
  function encoded(pieces: number[], graph: Graph = product(() => "w")): Uint8Array {
    return Buffer.concat([encodeModel(graph), Uint8Array.from(message(7, pieces))]);
  }

  for (const [what, pieces] of Object.entries(encodings))
    it(`weights are found in every legal encoding: ${what}`, async () => {
      const bytes = encoded(pieces);
      assert.equal(await native().hasExternalData(bytes).promise, true);
      await writeFile(path("m.onnx"), bytes);
      assert.equal(await native().hasExternalData(path("m.onnx")).promise, true);
      using model = await loadModel(path("m.onnx"));
      close((await model.run(x))["y"]!);
      const maps = await readFile("/proc/self/maps", "utf8").catch(() => "");
      assert.ok(!maps.includes(folder), "a file of the model is mapped");
      await assert.rejects(loadModel(bytes), { code: "ERR_MODEL_UNSUPPORTED" });
    });

  for (const [what, pieces] of Object.entries(encodings))
    it(`a file that is shortened under an open model changes nothing: ${what}`, async () => {
      // Rows of a table: no kernel packs them, they are read where they lie.
      const b = new Builder(emptyGraph("rows", 17));
      const row = b.op("Gather", ["w", b.input("index", DataType.INT64, ["batch"])]);
      b.output("y", b.op("Mul", [b.input("x", DataType.FLOAT, ["batch", width]), row]));
      await writeFile(path("m.onnx"), encoded(pieces, b.graph));
      const program = fileURLToPath(new URL("../fixtures/lib/shortened-weights.ts", import.meta.url));
      const { signal, stdout, stderr } = await finish(process.execPath, [
        ...["--import", "tsx", program],
        ...[path("m.onnx"), path("w.bin"), String(width)],
      ]);
      assert.equal(signal, null, stderr);
      assert.deepEqual(JSON.parse(stdout || "null"), { same: true, later: "ERR_MODEL_INVALID" }, stderr);
    });

  it("whatever is in a model that carries its numbers is no external data, and what is damaged is no model", async () => {
    const inside = product((b) => b.constant(weights, [width, width], DataType.FLOAT));
    assert.equal(await native().hasExternalData(encodeModel(inside)).promise, false);
    assert.equal(await native().hasExternalData(modelFile("classifier")).promise, false);
    const whole = Buffer.from(plain("w.bin"));
    for (let end = 1; end < whole.length; end += 7) {
      const cut = new Uint8Array(whole.subarray(0, end));
      await native()
        .hasExternalData(cut)
        .promise.catch((error: { code: string }) => assert.equal(error.code, "ERR_MODEL_INVALID"));
    }
    let deep: number[] = [];
    for (let i = 0; i < 200; i++) deep = message(1, message(5, message(6, deep)));
    await assert.rejects(native().hasExternalData(Uint8Array.from(message(7, deep))).promise, {
      code: "ERR_MODEL_INVALID",
      message: /nested too deeply/,
    });
  });

  for (const [what, graph] of Object.entries(places)) {
    it(`${what} has its numbers in the model's folder`, async () => {
      const bytes = encodeModel(graph("w.bin"));
      assert.deepEqual(externalFiles(decodeModel(bytes)), ["w.bin"]);
      await writeFile(path("m.onnx"), bytes);
      using model = await loadModel(path("m.onnx"));
      close((await model.run(x))["y"]!);
      const { gradients } = await model.vjp(x, tensor(new Float32Array(2 * width).fill(1), [2, width]));
      assert.ok(gradients["x"]!.data.some((value) => value !== 0));
      using given = await loadModel(bytes, { baseDirectory: folder });
      close((await given.run(x))["y"]!);
      assert.equal(await given.fingerprint(), await model.fingerprint());
    });

    it(`${what} is not looked up in the current directory`, async () => {
      process.chdir(folder);
      const bytes = encodeModel(graph("w.bin"));
      const refused = { code: "ERR_MODEL_UNSUPPORTED", message: /"w\.bin".*baseDirectory/ };
      await assert.rejects(loadModel(bytes), refused);
      await assert.rejects(differentiateModel(bytes), refused);
      await mkdir(path("other"));
      await writeFile(path("other/m.onnx"), bytes);
      await assert.rejects(loadModel(path("other/m.onnx")), {
        code: "ERR_MODEL_NOT_FOUND",
        message: /other/,
      });
    });

    it(`${what} cannot leave the folder`, async () => {
      await mkdir(path("inner"));
      for (const escape of ["../w.bin", path("w.bin"), "link.bin", "linked/w.bin"]) {
        await writeFile(path("inner/m.onnx"), encodeModel(graph(escape)));
        await rm(path("inner/link.bin"), { force: true });
        await rm(path("inner/linked"), { force: true });
        await symlink(path("w.bin"), path("inner/link.bin"));
        await symlink(folder, path("inner/linked"));
        await assert.rejects(
          loadModel(path("inner/m.onnx")),
          { code: "ERR_MODEL_INVALID", message: /must lie in the model's folder/ },
          escape,
        );
      }
    });
  }

  it("an energy's own model reads no file", async () => {
    process.chdir(folder);
    const b = new Builder(emptyGraph("own", 17));
    const output = b.input("output", DataType.FLOAT, ["batch", 10]);
    b.input("condition", DataType.FLOAT, ["batch", 10]);
    b.graph.initializers.set("w", external("w", "w.bin"));
    const energies = b.op("Mul", [b.sum(output, [1], false), b.sum("w", [0, 1], false)]);
    b.output("energy", energies);
    using generator = await loadModel(modelFile("gan-generator"));
    using encoder = await loadModel(modelFile("classifier"));
    await assert.rejects(Tr0n.create({ generator, encoder, energy: energy.fromOnnx(encodeModel(b.graph)) }), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /constant "w" lie in another file/,
    });
  });

  it("links that stay in the folder are followed, and so is one to the model itself", async () => {
    await mkdir(path("data"));
    await rename(path("w.bin"), path("data/real.bin"));
    await symlink("data/real.bin", path("w.bin"));
    await writeFile(path("m.onnx"), plain("w.bin"));
    using model = await loadModel(path("m.onnx"));
    close((await model.run(x))["y"]!);
    // A download cache: names in one folder are links to contents in another.
    await mkdir(path("snapshot"));
    await rename(path("m.onnx"), path("data/4711"));
    await symlink("../data/4711", path("snapshot/m.onnx"));
    await symlink("../data/real.bin", path("snapshot/w.bin"));
    using cached = await loadModel(path("snapshot/m.onnx"));
    close((await cached.run(x))["y"]!);
  });

  it("only regular files, whole ranges and one meaning: errors name model, constant, file and what to do", async () => {
    await mkdir(path("folder.bin"));
    const size = String(4 * width * width);
    const cases: [string, Record<string, string>, string, RegExp][] = [
      [
        "gone.bin",
        {},
        "ERR_MODEL_NOT_FOUND",
        /m\.onnx: constant "w": its external data "gone\.bin" cannot be read: no such file.*belongs into/,
      ],
      ["folder.bin", {}, "ERR_MODEL_NOT_FOUND", /expected a file, got a folder/],
      [
        "w.bin",
        { offset: "4" },
        "ERR_MODEL_INVALID",
        /constant "w": expected 102400 bytes at 4 of "w\.bin", got 102396/,
      ],
      ["w.bin", { offset: "9007199254740990" }, "ERR_MODEL_INVALID", /got 0/],
      [
        "w.bin",
        { offset: "18446744073709551612", length: size },
        "ERR_MODEL_INVALID",
        /expected a whole number/,
      ],
      ["w.bin", { length: "100" }, "ERR_MODEL_INVALID", /expected 102400 bytes/],
      ["", {}, "ERR_MODEL_INVALID", /without a location/],
      ["a/../w.bin", {}, "ERR_MODEL_INVALID", /must lie in the model's folder/],
      ["*/_ORT_MEM_ADDR_/*", { offset: "4096", length: size }, "ERR_MODEL_NOT_FOUND", /constant "w"/],
    ];
    if (process.platform !== "win32") {
      execFileSync("mkfifo", [path("pipe.bin")]);
      cases.push([
        "pipe.bin",
        {},
        "ERR_MODEL_NOT_FOUND",
        /expected a file, got a device, a pipe or a socket/,
      ]);
    }
    for (const [where, more, code, pattern] of cases) {
      await writeFile(path("m.onnx"), plain(where, more));
      await assert.rejects(loadModel(path("m.onnx")), { code, message: pattern }, where);
    }
    const twice = message(5, [...head, ...message(13, turned), ...message(13, location), ...outside]);
    await writeFile(path("m.onnx"), encoded(twice));
    await assert.rejects(loadModel(path("m.onnx")), { code: "ERR_MODEL_INVALID", message: /location twice/ });
  });

  it("what is read again must be what was loaded: weights, and the model itself", async () => {
    const seed = tensor(new Float32Array(2 * width).fill(1), [2, width]);
    const changed = {
      code: "ERR_MODEL_INVALID",
      message: /has changed since it was loaded; load the model again/,
    };
    await writeFile(path("m.onnx"), plain("w.bin"));
    {
      using model = await loadModel(path("m.onnx"));
      await writeFile(path("new.bin"), new Uint8Array(4 * width * width));
      await rename(path("new.bin"), path("w.bin")); // as long, other numbers
      close((await model.run(x))["y"]!);
      await assert.rejects(model.vjp(x, seed), changed);
      await assert.rejects(model.fingerprint(), changed);
    }
    {
      using model = await loadModel(path("m.onnx"));
      await truncate(path("m.onnx"), 40);
      await assert.rejects(model.vjp(x, seed), changed);
    }
  });

  it("baseDirectory is for ONNX bytes, and results of differentiateModel refer to files in it", async () => {
    const bytes = plain("w.bin");
    const gradient = await differentiateModel(bytes, { baseDirectory: folder });
    assert.deepEqual(externalFiles(decodeModel(gradient)), ["w.bin"]);
    await writeFile(path("m.onnx"), bytes);
    const wrong = { code: "ERR_INVALID_ARGUMENT", message: /options\.baseDirectory/ };
    await assert.rejects(loadModel(path("m.onnx"), { baseDirectory: dirname(folder) }), wrong);
    await assert.rejects(loadModel(bytes, { baseDirectory: 5 as never }), wrong);
    await assert.rejects(loadModel(Uint8Array.of(0x50, 0x4b, 3, 4), { baseDirectory: folder }), wrong);
    await assert.rejects(differentiateModel(path("m.onnx"), { baseDirectory: folder }), wrong);
  });
});
