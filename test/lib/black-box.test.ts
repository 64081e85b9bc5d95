/** Encoders without a gradient: they are told of at `create`, refused where one is needed, and resampling works. */
import assert from "node:assert/strict";
import { create as message } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema } from "onnx-buf";
import type { Decision } from "../../lib/base/decisions.js";
import {
  differentiate,
  energy,
  evaluate,
  sampler,
  stage,
  tensor,
  Tr0n,
  type Tr0nOptions,
} from "../../lib/index.js";
import { makeAttribute } from "../../lib/onnx/attributes.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { keeper } from "../support/keeper.js";
import { close, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const { keep, load, closeAll } = keeper();

/** Logits of signs: the same as tinyEncoder behind a binarised activation. */
function signs(output = "logits"): Uint8Array {
  const b = new Builder(emptyGraph("signs"));
  const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 3, 4, 4])], { axis: 1 });
  // Binarised weights are constants: nothing of them stops a gradient.
  const weights = b.op("Sign", [b.constant(numbers(2, 48 * 3), [48, 3], DataType.FLOAT)]);
  b.output(output, b.op("MatMul", [b.op("Sign", [b.op("Tanh", [x])]), weights]));
  b.graph.outputs[0]!.dims = ["batch", 3];
  b.graph.nodes.find(({ inputs }) => inputs[0]!.startsWith("Tanh"))!.name = "the binarisation";
  return encodeModel(b.graph);
}

/** A gradient-boosted classifier of two stumps over 6 numbers: label and class probabilities. */
function tree(): Uint8Array {
  const b = new Builder(emptyGraph("tree"));
  b.graph.opsets.set("ai.onnx.ml", 1);
  const x = b.input("features", DataType.FLOAT, ["batch", 6]);
  const repeat = <T>(times: number, values: T[]): T[] => Array.from({ length: times }, () => values).flat();
  const floats = (name: string, values: number[]) =>
    message(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOATS, floats: values });
  const attributes = [
    floats("class_weights", [0.4, 0.05, 0.05, 0.05, 0.4, 0.05, 0.1, 0.1, 0.3, 0.3, 0.1, 0.1]),
    floats("nodes_values", [0, 0, 0, 0.1, 0, 0]),
    makeAttribute("class_ids", repeat(4, [0, 1, 2])),
    makeAttribute("class_nodeids", repeat(2, [1, 1, 1, 2, 2, 2])),
    makeAttribute("class_treeids", [...repeat(6, [0]), ...repeat(6, [1])]),
    makeAttribute("classlabels_int64s", [0, 1, 2]),
    makeAttribute("nodes_falsenodeids", repeat(2, [2, 0, 0])),
    makeAttribute("nodes_featureids", [0, 0, 0, 1, 0, 0]),
    makeAttribute("nodes_modes", repeat(2, ["BRANCH_LEQ", "LEAF", "LEAF"])),
    makeAttribute("nodes_nodeids", repeat(2, [0, 1, 2])),
    makeAttribute("nodes_treeids", [0, 0, 0, 1, 1, 1]),
    makeAttribute("nodes_truenodeids", repeat(2, [1, 0, 0])),
    makeAttribute("post_transform", "NONE"),
  ];
  b.append({
    opType: "TreeEnsembleClassifier",
    domain: "ai.onnx.ml",
    name: "the forest",
    overload: "",
    inputs: [x],
    outputs: ["label", "probabilities"],
    attributes: new Map(attributes.map((attribute) => [attribute.name, attribute])),
  });
  b.graph.outputs.push(
    { name: "label", elemType: DataType.INT64, dims: ["batch"] },
    { name: "probabilities", elemType: DataType.FLOAT, dims: ["batch", 3] },
  );
  return encodeModel(b.graph);
}

/** z [n, 4] → 6 numbers. */
function features(): Uint8Array {
  const b = new Builder(emptyGraph("features"));
  const z = b.input("z", DataType.FLOAT, ["batch", 4]);
  b.output("x", b.op("Tanh", [b.op("MatMul", [z, b.constant(numbers(4, 24), [4, 6], DataType.FLOAT)])]));
  return encodeModel(b.graph);
}

/** An image of bytes → logits; or their largest's number alone. */
function bytes(labels = false): Uint8Array {
  const b = new Builder(emptyGraph("bytes"));
  const x = b.input("image", DataType.UINT8, ["batch", 3, 4, 4]);
  const real = b.op("Flatten", [b.op("Cast", [x], { to: DataType.FLOAT })], { axis: 1 });
  const y = b.op("MatMul", [real, b.constant(numbers(2, 144, -0.02, 0.02), [48, 3], DataType.FLOAT)]);
  b.output(labels ? "label" : "logits", labels ? b.op("ArgMax", [y], { axis: 1 }) : y);
  b.graph.outputs[0]!.dims = ["batch", labels ? 1 : 3];
  return encodeModel(b.graph);
}

async function create(
  generator: Uint8Array,
  encoder: Uint8Array,
  options: Partial<Tr0nOptions> = {},
): Promise<{ tr0n: Tr0n; told: string[] }> {
  const told: string[] = [];
  const onDecision = ({ option, value, reason, certain }: Decision): void => {
    // What outputs mean and where images lie is another matter.
    if (option === "encoderKind" || option === "generatorRange") return;
    told.push(`${option}${certain ? "" : "?"}: ${value} because ${reason}`);
  };
  const models = { generator: await load(generator), encoder: await load(encoder) };
  return { tr0n: keep(await Tr0n.create({ ...models, onDecision, seed: 1, ...options })), told };
}

const advice = /sampler\.resample\(\{ steps: 0 \}\) \(--steps 0 on the command line\)/;
const blackBox = sampler.resample({ steps: 0 });

describe("encoders without a gradient", () => {
  afterEach(closeAll);

  const cases: [string, () => Promise<{ tr0n: Tr0n; told: string[] }>, RegExp, string][] = [
    [
      "a binarised network",
      () => create(tinyGenerator(), signs()),
      /from "x" to "logits": Sign node "the binarisation" \(opset 18\) is constant almost everywhere/,
      "logits",
    ],
    [
      "a tree",
      () =>
        create(features(), tree(), {
          encoderOutput: "probabilities",
          energy: energy.sum([energy.crossEntropy(), 2]),
        }),
      /from "features" to "probabilities": ai\.onnx\.ml\.TreeEnsembleClassifier node "the forest" \(opset 1\)/,
      "probabilities",
    ],
    [
      "a network of bytes",
      () =>
        create(tinyGenerator(), bytes(), {
          preprocess: [stage.scale([-1, 1], [0, 255])],
          energy: energy.crossEntropy(),
        }),
      /from "image" to "logits": Round node "image as uint8"/,
      "logits",
    ],
  ];
  for (const [what, make, why, feature] of cases)
    it(`${what}: told at create, refused by samplers that follow one, and sampled by resampling`, async () => {
      const { tr0n, told } = await make();
      assert.equal(told.filter((line) => line.startsWith("sampler:")).length, 1);
      assert.match(
        told.find((line) => line.startsWith("sampler:"))!,
        why,
      );
      assert.match(
        told.find((line) => line.startsWith("sampler:"))!,
        advice,
      );
      await tr0n.train({ pairs: 2000, epochs: 2 });
      for (const chosen of [undefined, sampler.mala(), sampler.langevin(), sampler.hybrid()]) {
        const error = await rejects(tr0n.sample({ class: 1 }, { sampler: chosen }), "ERR_NO_GRADIENT", why);
        assert.match(error.message, advice);
      }
      const { energies, evaluations } = await tr0n.sample(
        { class: 1 },
        { count: 200, seed: 2, sampler: blackBox },
      );
      const prior = await tr0n.sample(
        { class: 1 },
        { count: 200, seed: 2, sampler: sampler.direct({ start: "prior" }) },
      );
      const mean = (values: Float32Array): number => values.reduce((sum, x) => sum + x / values.length, 0);
      assert.equal(evaluations.gradients, 0);
      assert.ok(mean(energies) < mean(prior.energies), `${mean(energies)} against ${mean(prior.energies)}`);
      const { rows } = await evaluate(tr0n, {
        classes: [0, 1],
        samples: 20,
        reference: 30,
        features: feature,
        seed: 1,
        recipes: [{ name: "black box", sampler: blackBox }],
      });
      assert.ok(rows[1]!.accuracy > 0 && rows[1]!.gradients === 0);
    });

  it("take whole numbers by rounding, as the model itself does, where a stage spreads images over them", async () => {
    const preprocess = [stage.scale([-1, 1], [0, 255])];
    const { tr0n, told } = await create(tinyGenerator(), bytes(), {
      preprocess,
      energy: energy.squaredError(),
    });
    assert.match(told[0]!, /encoder: images are rounded to whole numbers because image of .* is uint8/);
    const latents = await tr0n.drawPrior(9, { seed: 4 });
    const images = await tr0n.generate(latents);
    const whole = images.data.map((x) => Math.round((x + 1) * 127.5));
    const direct = await (await load(bytes())).run(tensor(whole, [9, 3, 4, 4]));
    const encoded = await tr0n.encode(latents);
    // A half may go either way.
    close(encoded.data, direct["logits"]!.data, 0.021);
    await rejects(
      create(tinyGenerator(), bytes()),
      "ERR_SHAPE_MISMATCH",
      /takes whole numbers \(image \[\?, 3, 4, 4\] of uint8\).* from -[01]\.\d+ to [01]\.\d+ .*stage\.scale\(\[-1, 1\], \[0, 255\]\)/,
    );
    const labels = await create(tinyGenerator(), bytes(true), { preprocess, energy: energy.squaredError() });
    const { data } = await labels.tr0n.encode(latents);
    assert.deepEqual(
      [...data],
      [0, 1, 2, 3, 4, 5, 6, 7, 8].map((row) => {
        const logits = encoded.data.subarray(3 * row, 3 * row + 3);
        return logits.indexOf(Math.max(...logits));
      }),
    );
    await labels.tr0n.train({ pairs: 200, epochs: 1 });
    await labels.tr0n.sample(tensor([2], [1, 1]), { sampler: blackBox });
  });

  it("are refused by the loss that needs one, before any pair is drawn", async () => {
    const { tr0n } = await create(tinyGenerator(), signs("features"), { energy: energy.cosine() });
    const phases: string[] = [];
    await rejects(
      tr0n.train({ pairs: 2000, loss: "cosine", onProgress: ({ phase }) => void phases.push(phase) }),
      "ERR_NO_GRADIENT",
      /loss: "cosine" needs a gradient, but in .* Sign node "the binarisation".*the loss "nll" needs none/,
    );
    assert.deepEqual(phases, []);
  });

  it("and generators, and energies of one's own", async () => {
    const rounded = new Builder(emptyGraph("rounded"));
    const z = rounded.input("z", DataType.FLOAT, ["batch", 48]);
    rounded.output("image", rounded.reshape(rounded.op("Round", [z]), [-1, 3, 4, 4]));
    const generator = await create(encodeModel(rounded.graph), tinyEncoder());
    assert.match(generator.told.join(), /from "z" to "image": Round/);
    const own = new Builder(emptyGraph("own"));
    const output = own.input("output", DataType.FLOAT, ["n", 3]);
    const condition = own.input("condition", DataType.FLOAT, ["n", 3]);
    const wrong = own.op("Cast", [own.op("Greater", [output, condition])], { to: DataType.FLOAT });
    own.output("energy", own.sum(wrong, [1], false));
    const counted = await create(tinyGenerator(), tinyEncoder(), {
      energy: energy.fromOnnx(encodeModel(own.graph)),
    });
    assert.match(counted.told.join(), /in the energy .*Greater/);
    const sound = await create(tinyGenerator(), tinyEncoder());
    assert.deepEqual(sound.told, []);
  });

  it("have no vjp, and no file with a gradient", async () => {
    const model = await load(signs());
    const x = tensor(numbers(1, 48), [1, 3, 4, 4]);
    await rejects(model.vjp(x, tensor([1, 1, 1], [1, 3])), "ERR_NO_GRADIENT", /"x" to "logits": Sign/);
    await rejects(() => differentiate(signs()), "ERR_NO_GRADIENT", /Sign/);
  });

  it("are warned of where the gradient is 0 wherever it is tried", async () => {
    const b = new Builder(emptyGraph("saturated"));
    const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 3, 4, 4])], { axis: 1 });
    const y = b.op("MatMul", [x, b.constant(numbers(2, 144), [48, 3], DataType.FLOAT)]);
    const hidden = b.op("Relu", [b.op("Sub", [y, b.scalar(1000, y)])]);
    b.output("embedding", b.op("Add", [hidden, b.scalar(1, y)]));
    const { tr0n, told } = await create(tinyGenerator(), encodeModel(b.graph), {
      energy: energy.squaredError(),
    });
    assert.deepEqual(told, []);
    // Once, whatever tries it first: training, or a sampler.
    await tr0n.train({ pairs: 100, epochs: 1 });
    await tr0n.sample(tensor([1, 2, 3], [1, 3]));
    assert.equal(told.length, 1);
    assert.match(told.join(), /^sampler\?: .* because the gradient of the energy is exactly 0 for 2 draws/);
    for (const kind of [energy.squaredError(), energy.cosine(), energy.crossEntropy()]) {
      const sound = await create(tinyGenerator(), tinyEncoder(), { energy: kind });
      await sound.tr0n.objective.native(true);
      assert.deepEqual(sound.told, []);
    }
  });
});
