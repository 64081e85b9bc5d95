/** Models of float16, bfloat16 and float64: float32 at their edges, and the gradients of the same network in float32. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  TensorProtoSchema,
  type AttributeProto,
  type GraphProto,
} from "onnx-buf";
import { energy, sampler, tensor, Tr0n, type Model } from "../../lib/index.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  makeTensor,
  readNumbers,
  type Graph,
} from "../../lib/onnx/index.js";
import { encodeBody } from "../../lib/onnx/body.js";
import { keeper } from "../support/keeper.js";
import { numbers } from "../support/numbers.js";
import { close, tinyEncoder, withFolder } from "../support/tiny.js";
import { runGraph } from "../support/operators.js";
import { finish } from "../support/process.js";

const { FLOAT, FLOAT16, BFLOAT16, DOUBLE } = DataType;
const { keep, load, closeAll } = keeper();

interface Options {
  /** Of inputs and outputs; default: that of the rest. */
  edges?: number;
  /** With convolutions, which the runtime does not have in float64. */
  conv?: boolean;
  /** Casts to float32 around the normalisation, as tools put them around what half precision cannot hold. */
  sensitive?: boolean;
  size?: number;
}

/** z [N, 6] → image [N, 3, 8, 8]; its weights are numbers that `stored` holds. */
function network(
  elemType: number,
  stored: number,
  { edges = elemType, conv = true, sensitive = false, size = 1 }: Options = {},
): Uint8Array {
  const b = new Builder(emptyGraph("network"));
  const given = b.input("z", edges, ["batch", 6]);
  let seed = 1;
  const weights = (dims: number[], scale: number): string => {
    const data = numbers(
      seed++,
      dims.reduce((p, q) => p * q, 1),
      -scale,
      scale,
    );
    return b.constant(
      readNumbers(makeTensor("", stored, [data.length], data)) as ArrayLike<number>,
      dims,
      elemType,
    );
  };
  const to = (value: string, type: number): string =>
    b.shapes.elemType(value) === type ? value : b.op("Cast", [value], { to: type });
  let x = b.op("Gemm", [to(given, elemType), weights([6, 64 * size], 0.5), weights([64 * size], 0.1)]);
  if (sensitive) x = to(x, FLOAT);
  const like = (dims: number[]): string => to(weights(dims, 1), b.shapes.elemType(x));
  x = b.op("LayerNormalization", [x, like([64 * size]), like([64 * size])], { axis: -1 });
  x = b.op("Tanh", [to(x, elemType)]);
  if (conv) {
    x = b.reshape(x, [-1, 4 * size, 4, 4]);
    x = b.op("ConvTranspose", [x, weights([4 * size, 6, 2, 2], 0.4)], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    });
    x = b.op("Softplus", [x]);
    x = b.op("Conv", [x, weights([3, 6, 3, 3], 0.4), weights([3], 0.1)], {
      kernel_shape: [3, 3],
      pads: [1, 1, 1, 1],
    });
  } else {
    x = b.op("MatMul", [x, weights([64 * size, 192], 0.3)]);
    x = b.reshape(b.op("Mul", [b.op("Sigmoid", [x]), b.scalar(1.5, x)]), [-1, 3, 8, 8]);
  }
  b.output("image", to(b.op("Tanh", [x]), edges));
  b.graph.outputs[0]!.dims = ["batch", 3, 8, 8];
  return encodeModel(b.graph);
}

const z = tensor(numbers(11, 3 * 6, -2, 2), [3, 6]);
const cotangent = tensor(numbers(12, 3 * 192), [3, 3, 8, 8]);

async function results(
  model: Model,
): Promise<{ image: Float32Array; vjp: Float32Array; gradient: Float32Array }> {
  const { outputs, gradients } = await model.vjp(z, cotangent);
  return {
    image: (await model.run(z))["image"]!.data,
    vjp: outputs["image"]!.data,
    gradient: gradients["z"]!.data,
  };
}

const memoryFixture = fileURLToPath(new URL("../fixtures/lib/half-weights.ts", import.meta.url));

const graphAttribute = (name: string, g: GraphProto): AttributeProto =>
  create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g });

const norm = (data: ArrayLike<number>): number => Math.hypot(...Array.from(data));
const apart = (p: Float32Array, q: Float32Array): number => norm(p.map((v, i) => v - q[i]!)) / norm(q);

describe("models of other types than float32", () => {
  afterEach(closeAll);

  // Spacings of the types' numbers at 1, of which each of some ten operators rounds off half at most.
  const kinds = [
    ["float16", FLOAT16, 2 ** -10],
    ["bfloat16", BFLOAT16, 2 ** -7],
    ["float64", DOUBLE, 2 ** -22],
  ] as const;
  const forms: Record<string, Options> = {
    "": {},
    " with edges of float32": { edges: FLOAT },
    " with float32 where it matters": { sensitive: true },
    " without convolutions": { conv: false },
  };
  for (const [name, elemType, spacing] of kinds)
    for (const [form, options] of Object.entries(forms))
      it(`${name}${form}: run and vjp are those of the same weights in float32`, async () => {
        const model = await load(network(elemType, elemType, options));
        for (const value of [...model.inputs, ...model.outputs])
          assert.equal(value.type, "float32", value.name);
        const got = await results(model);
        const expected = await results(await load(network(FLOAT, elemType, { ...options, edges: FLOAT })));
        const depth = 10;
        assert.ok(
          apart(got.image, expected.image) < (depth * spacing) / 2,
          `run: ${apart(got.image, expected.image)}`,
        );
        assert.ok(
          apart(got.vjp, expected.image) < (depth * spacing) / 2,
          `outputs of vjp: ${apart(got.vjp, expected.image)}`,
        );
        // Inside of the gradient everything is float32 but the weights, and what goes in and out.
        assert.ok(
          apart(got.gradient, expected.gradient) < 2 * spacing,
          `gradient: ${apart(got.gradient, expected.gradient)}`,
        );
      });

  it("differentiate float64 in float64 where the runtime has its operators", async () => {
    const bytes = network(DOUBLE, DOUBLE, { conv: false });
    const gradient = differentiateGraph(decodeModel(bytes));
    const grown = { z: { dims: [3, 6], data: z.data, type: "float64" as const } };
    const exact = await runGraph(gradient, {
      ...grown,
      grad_image: { dims: [3, 3, 8, 8], data: cotangent.data, type: "float64" },
    });
    const { gradients } = await (await load(bytes)).vjp(z, cotangent);
    close(gradients["z"]!.data, Float32Array.from(exact["grad_z"]!.data), 0);
  });

  it("tell what is done to them, and serve in a Tr0n", async () => {
    const told = async (bytes: Uint8Array): Promise<string[]> => {
      const decisions: string[] = [];
      const tr0n = keep(
        await Tr0n.create({
          generator: await load(bytes),
          encoder: await load(tinyEncoder({ image: [3, 8, 8] })),
          encoderKind: "embedding",
          energy: energy.squaredError(),
          seed: 1,
          onDecision: ({ option, value, reason }) =>
            void decisions.push(`${option}: ${String(value)}, because ${reason}`),
        }),
      );
      await tr0n.train({ pairs: 64, epochs: 1 });
      const condition = { embedding: tensor([0.4, -0.2, 0.3], [1, 3]) };
      const { latents } = await tr0n.sample(condition, {
        sampler: sampler.mala({ steps: 2 }),
        count: 2,
        seed: 2,
      });
      assert.ok(latents.data.every(Number.isFinite));
      return decisions.filter((text) => text.startsWith("generator:"));
    };
    const [half] = await told(network(FLOAT16, FLOAT16));
    assert.match(half!, /inputs and outputs are float32.*z is float16, image is float16 in the file/);
    const bfloat = (await told(network(BFLOAT16, BFLOAT16))).join("\n");
    assert.match(bfloat, /computed in float32.*no kernels for bfloat16/);
    const double = (await told(network(DOUBLE, DOUBLE))).join("\n");
    assert.match(double, /z is float64.*\n.*float64 is computed in float32, because ONNX Runtime refuses/);
    assert.deepEqual(await told(network(FLOAT, FLOAT)), []);
  });

  it("are read in bodies, constants of attributes and types that attributes name", async () => {
    const b = new Builder(emptyGraph("body"));
    const x = b.input("x", FLOAT16, ["batch", 3]);
    const filled = b.op("ConstantOfShape", [b.ints([3])], {
      value: makeTensor("value", FLOAT16, [1], [0.5]),
    });
    const branch = (scale: number): Graph => {
      const inner = new Builder(emptyGraph(`times ${scale}`));
      inner.graph.inputs.push({ name: x, elemType: FLOAT16, dims: ["batch", 3] });
      const rounded = inner.op("Cast", [inner.op("Cast", [x], { to: FLOAT })], { to: FLOAT16 });
      inner.output("scaled", inner.op("Mul", [rounded, inner.constant([scale], [], FLOAT16)]));
      return inner.graph;
    };
    const condition = b.op("Greater", [
      b.op("ReduceSum", [x], { keepdims: 0 }),
      b.constant([0], [], FLOAT16),
    ]);
    const chosen = b.names.fresh("chosen");
    b.append({
      ...{ opType: "If", domain: "", name: "if", overload: "", inputs: [condition], outputs: [chosen] },
      attributes: new Map(
        Object.entries({ then_branch: 2, else_branch: -3 }).map(([name, scale]) => [
          name,
          graphAttribute(name, encodeBody({ ...branch(scale), inputs: [] }, b.graph)),
        ]),
      ),
    });
    b.graph.valueInfos.set(chosen, { name: chosen, elemType: FLOAT16, dims: ["batch", 3] });
    b.output("y", b.op("Add", [chosen, filled]));
    b.graph.outputs[0] = { name: "y", elemType: FLOAT16, dims: ["batch", 3] };
    const model = await load(encodeModel(b.graph));
    for (const [data, slope] of [
      [[1, 2, 0.5], 2],
      [[-1, 0.25, 0], -3],
    ] as const) {
      const { outputs, gradients } = await model.vjp(tensor(data, [1, 3]), tensor([1, 10, 100], [1, 3]));
      close(
        outputs["y"]!.data,
        data.map((v) => slope * v + 0.5),
        1e-3,
      );
      close(
        gradients["x"]!.data,
        [1, 10, 100].map((v) => slope * v),
        1e-3,
      );
    }
  });

  it("keep weights of half precision as they are", async () => {
    // 64 MB of them: a float32 copy, which the runtime would make, is 128 MB more.
    const b = new Builder(emptyGraph("large"));
    const [wide, layers] = [2048, 8];
    let x = b.input("x", FLOAT16, ["batch", wide]);
    for (let i = 0; i < layers; i++) {
      const [name, dims] = [`w${i}`, [BigInt(wide), BigInt(wide)]];
      const rawData = new Uint8Array(2 * wide * wide);
      b.graph.initializers.set(name, create(TensorProtoSchema, { name, dataType: FLOAT16, dims, rawData }));
      x = b.op("Tanh", [b.op("MatMul", [x, name])]);
    }
    b.output("y", x);
    await withFolder(async (folder) => {
      const path = join(folder, "large.onnx");
      await writeFile(path, encodeModel(b.graph));
      const line = ["--expose-gc", "--import", "tsx", memoryFixture, path];
      const { code, stdout, stderr } = await finish(process.execPath, line);
      assert.equal(code, 0, stderr);
      assert.ok(Number(stdout) < 140, `${stdout} MB`);
    });
  });
});
