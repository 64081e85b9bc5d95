/** What an encoder's output means: decided by its rows, told, and overridden by `encoderKind`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { lookAtRows } from "../../lib/objective/encoder-kind.js";
import { packageRoot } from "../../lib/native/binding.js";
import { Tr0n, energy, sampler, type Decision, type EncoderKind, type Tr0nOptions } from "../../lib/index.js";
import { Builder, DataType, decodeModel, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { keeper } from "../support/keeper.js";
import { close, rejects, tinyGenerator } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const { keep, load, closeAll } = keeper();

type Tail = (b: Builder, scores: string) => string;

interface EncoderOptions {
  output?: string;
  classes?: number;
  /** Shape of one row of the output. */
  row?: number[];
  seed?: number;
  scale?: number;
}

/** image [N, 3, 4, 4] → `classes` scores by a linear layer → what `tail` makes of them. */
function encoder(tail: Tail, options: EncoderOptions = {}): Uint8Array {
  const { output = "output", classes = 3, seed = 2, scale = 0.5 } = options;
  const { row = [classes] } = options;
  const b = new Builder(emptyGraph("encoder"));
  const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 3, 4, 4])], { axis: 1 });
  const weights = b.constant(numbers(seed, 48 * classes, -scale, scale), [48, classes], DataType.FLOAT);
  b.output(output, tail(b, b.op("MatMul", [x, weights])));
  b.graph.outputs[0]!.dims = ["batch", ...row];
  return encodeModel(b.graph);
}

const softmax: Tail = (b, x) => b.op("Softmax", [x], { axis: 1 });
const tails = {
  softmax,
  scores: (_b, x) => x,
  logSoftmax: (b, x) => b.op("LogSoftmax", [x], { axis: 1 }),
  clipped: (b, x) => b.op("Clip", [softmax(b, x), b.scalar(1e-7, x), b.scalar(1 - 1e-7, x)]),
  averaged: (b, x) =>
    b.op("Mul", [b.op("Add", [softmax(b, x), softmax(b, b.op("Neg", [x]))]), b.scalar(0.5, x)]),
  half: (b, x) =>
    b.op("Cast", [softmax(b, b.op("Cast", [x], { to: DataType.FLOAT16 }))], { to: DataType.FLOAT }),
  complement: (b, x) => {
    const p = b.op("Sigmoid", [b.op("Slice", [x, b.ints([0]), b.ints([1]), b.ints([1])])]);
    return b.op("Concat", [b.op("Sub", [b.scalar(1, x), p]), p], { axis: 1 });
  },
  hard: (b, x) => b.castLike(b.op("Equal", [x, b.op("ReduceMax", [x, b.ints([1])], { keepdims: 1 })]), x),
  normalised: (b, x) => b.op("Div", [x, b.op("Sqrt", [b.sum(b.op("Mul", [x, x]), [1], true)])]),
  tempered: (b, x) => b.op("Mul", [b.op("LogSoftmax", [x], { axis: 1 }), b.scalar(1.5, x)]),
  smoothed: (b, x) => b.op("Clip", [softmax(b, x), b.scalar(0.02, x), b.scalar(1, x)]),
  sigmoid: (b, x) => b.op("Sigmoid", [x]),
  across: (b, x) => b.op("Softmax", [x], { axis: 0 }),
} as const satisfies Record<string, Tail>;

async function create(f: Uint8Array, options: Partial<Tr0nOptions> = {}): Promise<Tr0n> {
  const generator = await load(tinyGenerator());
  return keep(
    await Tr0n.create({ generator, encoder: await load(f), onDecision: () => undefined, ...options }),
  );
}

/** What was told about the kind. */
const told = ({ decisions }: Tr0n): Decision | undefined =>
  decisions.find(({ option }) => option === "encoderKind");

describe("what an encoder's output means", () => {
  afterEach(closeAll);

  for (const [name, kind, options] of [
    ["softmax", "probabilities"],
    ["clipped", "probabilities"],
    ["averaged", "probabilities"],
    ["half", "probabilities"],
    ["complement", "probabilities", { row: [2] }],
    ["hard", "probabilities"],
    ["logSoftmax", "log-probabilities"],
    ["normalised", "embedding"],
  ] as const)
    it(`is certain of ${kind} by the rows of ${name}, whatever the output is called`, async () => {
      for (const output of ["output", "linear_1", "logits"]) {
        if (name === "normalised" && output === "logits") continue; // there the name decides
        const tr0n = await create(
          encoder(tails[name], { output, ...(options && { row: [...options.row] }) }),
        );
        assert.equal(tr0n.encoderKind, kind, output);
        assert.equal(tr0n.energy.kind, kind === "embedding" ? "cosine" : "crossEntropy");
        const decision = told(tr0n)!;
        assert.deepEqual([decision.value, decision.certain], [kind, true]);
        assert.match(
          decision.reason,
          /^32 rows of output .* (≥ 0 and sum to 1|exponentials sum to 1|have the length 1)$/,
        );
      }
    });

  it("takes probabilities for what they are: no second softmax in energies and conditions", async () => {
    for (const name of ["clipped", "averaged", "half", "complement"] as const) {
      const row = name === "complement" ? [2] : [3];
      const tr0n = await create(encoder(tails[name], { row, scale: 2 }));
      const latents = await tr0n.drawPrior(20, { seed: 3 });
      const images = await tr0n.generate(latents);
      const { output } = await tr0n.objective.encoder.run(images);
      close((await tr0n.encode(latents)).data, output!.data, name === "half" ? 2e-3 : 1e-6, name);
      const c = Float32Array.from({ length: 20 * row[0]! }, (_, i) => (i % row[0]! === 0 ? 1 : 0));
      const objective = await tr0n.objective.native(false);
      const energies = await objective.energy(latents.data, c, 20).promise;
      const expected = Array.from({ length: 20 }, (_, i) => -Math.log(output!.data[i * row[0]!]!));
      close(energies, expected, 1e-4, name);
    }
  });

  it("takes log-probabilities as they are, and survives the logarithm of 0", async () => {
    const withZero: Tail = (b, x) => {
      const p = softmax(b, b.op("Slice", [x, b.ints([0]), b.ints([2]), b.ints([1])]));
      const none = b.op("Mul", [b.op("Slice", [p, b.ints([0]), b.ints([1]), b.ints([1])]), b.scalar(0, x)]);
      return b.op("Log", [b.op("Concat", [p, none], { axis: 1 })]);
    };
    const tr0n = await create(encoder(withZero));
    assert.equal(tr0n.encoderKind, "log-probabilities");
    const latents = await tr0n.drawPrior(2, { seed: 1 });
    const { output } = await tr0n.objective.encoder.run(await tr0n.generate(latents));
    const objective = await tr0n.objective.native(false);
    const energies = await objective.energy(latents.data, Float32Array.of(1, 0, 0, 0, 1, 0), 2).promise;
    close(energies, [-output!.data[0]!, -output!.data[4]!], 1e-5);
    const { data } = await tr0n.encode(latents);
    close(data, Float32Array.from(output!.data, Math.exp), 1e-6);
  });

  it("goes by names where the rows say nothing", async () => {
    for (const [output, kind, classes] of [
      ["logits", "logits", 3],
      ["class_scores", "logits", 64],
      ["features", "embedding", 3],
      ["image_embeds", "embedding", 64],
      ["pooler_output", "embedding", 10],
    ] as const) {
      const tr0n = await create(encoder(tails.scores, { output, classes }));
      assert.equal(tr0n.encoderKind, kind, output);
      assert.equal(told(tr0n)!.certain, true, output);
      assert.match(told(tr0n)!.reason, new RegExp(output));
    }
  });

  it("takes names that speak of classes and of vectors for neither", async () => {
    for (const output of ["pre_logits", "class_token", "classifier_features", "score_embedding"]) {
      const tr0n = await create(encoder(tails.scores, { output, classes: 64 }));
      assert.equal(tr0n.encoderKind, "embedding", output);
      assert.equal(told(tr0n)!.certain, false, output);
    }
  });

  it("warns, naming the option and what each reading means, where nothing says more", async () => {
    for (const output of ["output", "linear_1", "digit"])
      for (const [classes, kind] of [
        [10, "logits"],
        [64, "embedding"],
      ] as const) {
        const warnings: Error[] = [];
        const listen = (warning: Error): void => void warnings.push(warning);
        process.on("warning", listen);
        const tr0n = await create(encoder(tails.scores, { output, classes }), { onDecision: undefined });
        await new Promise((resolve) => setImmediate(resolve));
        process.off("warning", listen);
        assert.equal(tr0n.encoderKind, kind);
        assert.equal(told(tr0n)!.certain, false);
        const text = warnings.map(({ message }) => message).join("\n");
        assert.match(
          text,
          /^encoderKind: (logits|embedding), because .*crossEntropy\(\).*cosine\(\); pass encoderKind if that is wrong$/m,
        );
      }
  });

  it("is told with a doubt where rows are nearly what they seem", async () => {
    const smoothed = await create(encoder(tails.smoothed, { scale: 2 }));
    assert.equal(smoothed.encoderKind, "probabilities");
    assert.equal(told(smoothed)!.certain, false);
    assert.match(told(smoothed)!.reason, /sum to 1(\.\d+)? … 1\.\d+, which is nearly 1/);
    // Conditions are distributions all the same.
    const { data } = await smoothed.encode(await smoothed.drawPrior(5, { seed: 1 }));
    for (let i = 0; i < 5; i++) close([data[3 * i]! + data[3 * i + 1]! + data[3 * i + 2]!], [1], 1e-6);
    const tempered = await create(encoder(tails.tempered));
    assert.equal(tempered.encoderKind, "logits");
    assert.equal(told(tempered)!.certain, false);
    assert.match(told(tempered)!.reason, /log-probabilities that do not sum to 1/);
    const misnamed = await create(encoder(tails.scores, { output: "probabilities" }));
    assert.equal(misnamed.encoderKind, "logits");
    assert.equal(told(misnamed)!.certain, false);
    assert.match(told(misnamed)!.reason, /is called so, but 32 rows of it lie in \[-/);
  });

  it("is not asked where the energy makes no difference, and is scores where it is a cross-entropy", async () => {
    for (const own of [energy.cosine(), energy.squaredError()]) {
      const tr0n = await create(encoder(tails.scores), { energy: own });
      assert.deepEqual([told(tr0n), tr0n.encoderKind], [undefined, "embedding"]);
    }
    const tr0n = await create(encoder(tails.scores, { output: "features" }), {
      energy: energy.crossEntropy(),
    });
    assert.deepEqual([tr0n.encoderKind, told(tr0n)!.certain], ["logits", true]);
    assert.match(told(tr0n)!.reason, /the energy is a cross-entropy/);
  });

  it("is what the option says, and nothing is told then", async () => {
    for (const [tail, kind] of [
      ["scores", "logits"],
      ["scores", "embedding"],
      ["averaged", "probabilities"],
      ["averaged", "embedding"],
      ["logSoftmax", "log-probabilities"],
      ["logSoftmax", "logits"],
      ["tempered", "logits"],
      ["smoothed", "probabilities"],
    ] as const) {
      const tr0n = await create(encoder(tails[tail]), { encoderKind: kind });
      assert.deepEqual([tr0n.encoderKind, told(tr0n)], [kind, undefined], `${tail} as ${kind}`);
      assert.equal(tr0n.energy.kind, kind === "embedding" ? "cosine" : "crossEntropy");
    }
    const twice = await create(encoder(tails.averaged), { encoderKind: "logits" });
    assert.equal(twice.encoderKind, "logits");
    assert.match(told(twice)!.reason, /it was given, although .* a softmax of probabilities/);
  });

  it("is refused where the rows contradict it, saying what they are", async () => {
    const make = (tail: Tail, encoderKind: unknown, more: Partial<Tr0nOptions> = {}) =>
      create(encoder(tail), { encoderKind: encoderKind as EncoderKind, ...more });
    for (const [tail, kind, message] of [
      [
        "scores",
        "probabilities",
        /"probabilities" was given, but 32 rows of output "output" .* reach down to -\d.*"logits"/,
      ],
      ["logSoftmax", "probabilities", /reach down to -\d.*pass "log-probabilities"/],
      ["sigmoid", "probabilities", /sum to [\d.]+ … [\d.]+; .*binary cross-entropy/],
      ["scores", "log-probabilities", /reach up to [\d.]+; pass "logits"/],
      ["tempered", "log-probabilities", /exponentials that sum to [\d.]+ … [\d.]+; pass "logits"/],
      ["softmax", "log-probabilities", /reach up to/],
    ] as const)
      await rejects(make(tails[tail], kind), "ERR_INVALID_ARGUMENT", message);
    await rejects(
      make(tails.scores, "scores"),
      "ERR_INVALID_ARGUMENT",
      /encoderKind: expected .*"?log-probabilities/,
    );
    await rejects(
      make(tails.scores, "embedding", { energy: energy.crossEntropy() }),
      "ERR_INVALID_ARGUMENT",
      /encoderKind: "embedding" was given, but the energy has a crossEntropy\(\)/,
    );
  });

  it("refuses labels that do not exclude each other, unless they are said to be scores", async () => {
    await rejects(
      create(encoder(tails.sigmoid, { output: "class_scores" })),
      "ERR_INVALID_ARGUMENT",
      /Sigmoid.*do not sum to 1/,
    );
    await rejects(
      create(encoder(tails.sigmoid), { energy: energy.crossEntropy() }),
      "ERR_INVALID_ARGUMENT",
      /Sigmoid.*squaredError\(\)/,
    );
    assert.equal(
      (await create(encoder(tails.sigmoid), { encoderKind: "logits" })).energy.kind,
      "crossEntropy",
    );
    const attributes = await create(encoder(tails.sigmoid));
    assert.deepEqual([attributes.encoderKind, told(attributes)!.certain], ["embedding", false]);
  });

  it("refuses a softmax over another axis than the classes, with what to do", async () => {
    const map = (b: Builder, x: string): string => b.reshape(x, [-1, 3, 2, 2]);
    const segment: Tail = (b, x) => b.op("Softmax", [map(b, x)], { axis: 1 });
    const logs: Tail = (b, x) => b.op("LogSoftmax", [map(b, x)], { axis: 1 });
    const last: Tail = (b, x) => b.op("Softmax", [b.reshape(x, [-1, 4, 3])], { axis: 2 });
    const shape = { classes: 12, row: [3, 2, 2], output: "class_probabilities" };
    for (const [tail, row] of [
      [segment, [3, 2, 2]],
      [logs, [3, 2, 2]],
      [last, [4, 3]],
    ] as const) {
      const f = encoder(tail, { ...shape, row: [...row] });
      const message =
        /a distribution at each of 4 places.*a mean over the places.*encoderKind: "embedding".*fromOnnx/;
      await rejects(create(f), "ERR_SHAPE_MISMATCH", message);
      await rejects(create(f, { energy: energy.crossEntropy() }), "ERR_SHAPE_MISMATCH", message);
      await rejects(create(f, { encoderKind: "probabilities" }), "ERR_SHAPE_MISMATCH", message);
      assert.equal((await create(f, { encoderKind: "embedding" })).energy.kind, "cosine");
      assert.equal((await create(f, { energy: energy.squaredError() })).conditionSize, 12);
    }
    // Over the batch, which no energy has a use for.
    await rejects(create(encoder(tails.across)), "ERR_MODEL_UNSUPPORTED", /rows of .* influence each other/);
    const several = encoder(
      (b, x) => b.reshape(b.op("Softmax", [b.reshape(x, [-1, 2, 3])], { axis: 2 }), [-1, 6]),
      {
        classes: 6,
      },
    );
    await rejects(create(several), "ERR_SHAPE_MISMATCH", /rows sum to 2/);
    // Axes of size 1 are no places.
    const pooled = encoder((b, x) => b.reshape(softmax(b, x), [-1, 3, 1, 1]), { row: [3, 1, 1] });
    assert.equal((await create(pooled)).encoderKind, "probabilities");
  });

  it("says on `{ class }` for an embedding, and on a vector for a classifier, which option decides", async () => {
    const direct = { sampler: sampler.direct({ start: "prior" }) };
    const vector = await create(encoder(tails.normalised));
    await rejects(
      vector.sample({ class: 1 }, direct),
      "ERR_INVALID_ARGUMENT",
      /encoderKind: "logits" or "probabilities"/,
    );
    const classes = await create(encoder(tails.scores, { output: "logits" }));
    const embedding = { data: Float32Array.of(-0.5, 1, 2), shape: [3] };
    await rejects(classes.sample({ embedding }, direct), "ERR_INVALID_ARGUMENT", /encoderKind: "embedding"/);
  });

  it("is decided for a pairEncoder, too", async () => {
    const pairEncoder = await load(encoder(tails.averaged, { seed: 5, scale: 2 }));
    const tr0n = await create(encoder(tails.scores, { output: "logits" }), { pairEncoder });
    const decision = tr0n.decisions.find(({ option }) => option === "pairEncoder")!;
    assert.match(decision.value, /taken for probabilities/);
    const latents = await tr0n.drawPrior(5, { seed: 1 });
    const { output } = await pairEncoder.run(await tr0n.generate(latents));
    close((await tr0n.encode(latents)).data, output!.data, 1e-6);
  });

  it("is in the report of a training", async () => {
    const tr0n = await create(encoder(tails.averaged));
    const report = await tr0n.train({ pairs: 200, epochs: 1 });
    assert.deepEqual(report.decisions, tr0n.decisions);
    assert.deepEqual(
      report.decisions.map(({ option, value }) => [option, value]),
      [
        ["generatorRange", "[-1, 1]"],
        ["encoderKind", "probabilities"],
      ],
    );
  });

  it("samples the demo's digits from averaged and clipped probabilities as well as from logits", async function () {
    this.timeout(600_000);
    const file = (name: string): Uint8Array => readFileSync(join(packageRoot, "models", name));
    const generator = await load(file("gan-generator.onnx"));
    /** The demo's classifier with a tail, its output called "output". */
    const judged = (tail: Tail): Uint8Array => {
      const graph = decodeModel(file("classifier.onnx"));
      const name = graph.outputs.pop()!.name;
      const b = new Builder(graph, "tail/");
      b.output("output", tail(b, name));
      b.graph.outputs[0]!.dims = ["batch", 10];
      return encodeModel(b.graph);
    };
    const accuracy = async (tail: Tail): Promise<number> => {
      const model = await load(judged(tail));
      const tr0n = keep(
        await Tr0n.create({ generator, encoder: model, seed: 1, onDecision: () => undefined }),
      );
      await tr0n.train({ pairs: 3000, epochs: 3 });
      const { latents } = await tr0n.sample({ class: [3, 7] }, { count: 100, seed: 2 });
      const { data } = await tr0n.encode(latents);
      let hits = 0;
      for (let i = 0; i < 200; i++) {
        const row = data.subarray(10 * i, 10 * i + 10);
        if (row.indexOf(Math.max(...row)) === (i < 100 ? 3 : 7)) hits++;
      }
      return hits / 200;
    };
    const clipped = await accuracy(tails.clipped);
    const mean = await accuracy((b, x) =>
      b.op("Mul", [
        b.op("Add", [softmax(b, x), softmax(b, b.op("Mul", [x, b.scalar(1.1, x)]))]),
        b.scalar(0.5, x),
      ]),
    );
    // A second softmax leaves .2.
    assert.ok(clipped > 0.75 && mean > 0.75, `${clipped}, ${mean}`);
  });
});

describe("rows of an output", () => {
  it("are looked at whole", () => {
    const seen = lookAtRows(Float32Array.of(3, 4, 0, -1), [2, 2]);
    assert.deepEqual(
      [seen.rows, seen.min, seen.max, seen.sum, seen.norm, seen.distributionAxis],
      [2, -1, 4, [-1, 7], [1, 5], null],
    );
    close(seen.expSum, [1 + Math.exp(-1), Math.exp(3) + Math.exp(4)], 1e-6);
    assert.equal(lookAtRows(Float32Array.of(0.25, 0.5, 0.75, 0.5), [2, 2]).distributionAxis, 0);
    assert.equal(lookAtRows(Float32Array.of(0.25, 0.75, 0.5, 0.5), [2, 2]).distributionAxis, 1);
  });
});
