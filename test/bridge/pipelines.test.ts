import assert from "node:assert/strict";
import type { NativeObjective, NativeOnnxSegment } from "../../lib/native/types/pipeline.js";
import { compose } from "../../lib/onnx/index.js";
import {
  classes,
  crossEntropy,
  image,
  latent,
  load,
  objectiveOf,
  segmentOf,
} from "../support/bridge-pipelines.js";
import { relativeError, seeded } from "../support/numbers.js";
import { addon, objectiveBlocks, rejectsCode, sameBits, throwsCode } from "../support/bridge.js";

describe("bridge: pipelines", function () {
  this.timeout(120_000);
  const n = 21;
  const numbers = seeded(5);
  const z = numbers.normals(n * 64);
  const c = Float32Array.from({ length: n * classes }, (_, i) =>
    i % classes === ((i / classes) % 7) >> 0 ? 1 : 0,
  );
  let generator: NativeOnnxSegment;
  let encoder: NativeOnnxSegment;
  let whole: NativeObjective;

  before(async () => {
    generator = await segmentOf(load("gan-generator"), latent, "generator");
    encoder = await segmentOf(load("classifier"), image, "encoder");
    const joined = compose(load("gan-generator"), load("classifier"), { image: "image" }, { prefix: "f/" });
    whole = await objectiveOf([], compose(joined, crossEntropy(), { output: "logits" }), latent);
  });

  it("give the energies and gradients of one joined graph, however they are cut", async () => {
    const expected = await whole.evaluate(z, c, n).promise;
    const scored = compose(load("classifier"), crossEntropy(), { output: "logits" });
    for (const [name, segments, last, row] of [
      ["cut once", [generator], scored, image],
      ["cut twice", [generator, encoder], crossEntropy(), [classes]],
    ] as const) {
      const cut = await objectiveOf([...segments], last, [...row]);
      const got = await cut.evaluate(z, c, n).promise;
      assert.ok(relativeError(got.energies, expected.energies) < 1e-5, `${name}: energies`);
      assert.ok(relativeError(got.gradients, expected.gradients) < 1e-4, `${name}: gradients`);
      const energies = await cut.energy(z, c, n).promise;
      assert.ok(relativeError(energies, expected.energies) < 1e-5, `${name}: energies alone`);
      cut.dispose();
    }
  });

  it("give every row the same bits in every split", async () => {
    const cut = await objectiveOf([generator, encoder], crossEntropy(), [classes]);
    const { gradients, energies } = await cut.evaluate(z, c, n).promise;
    for (const size of [1, 2, 5, 16]) {
      for (let first = 0; first < n; first += size) {
        const count = Math.min(size, n - first);
        const part = await cut.evaluate(
          z.slice(first * 64, (first + count) * 64),
          c.slice(first * classes, (first + count) * classes),
          count,
        ).promise;
        sameBits(
          part.gradients,
          gradients.subarray(first * 64, (first + count) * 64),
          `rows ${first}… of ${size}`,
        );
        sameBits(part.energies, energies.subarray(first, first + count), `energies ${first}… of ${size}`);
      }
    }
    const rule = await objectiveBlocks(cut);
    assert.ok(rule.gradient.rows >= 1);
    cut.dispose();
  });

  it("map rows", async () => {
    const map = addon.createRowMap({
      name: "generator → encoder",
      segments: [generator, encoder],
      fixedBatch: 0,
      maxBatch: 64,
    });
    const [scores] = await map.run(z, n).promise;
    assert.deepEqual(scores!.shape, [n, classes]);
    const images = await generator.forward.run({ [generator.input]: { data: z, shape: [n, 64] } }).promise;
    const direct = await encoder.forward.run({ [encoder.input]: images[generator.output]! }).promise;
    assert.ok(relativeError(scores!.data, direct[encoder.output]!.data as Float32Array) < 1e-5);
    map.dispose();
  });

  it("say which model does not fit the next", async () => {
    const wrong = await objectiveOf([generator, { ...encoder, inputShape: [3, 16, 64] }], crossEntropy(), [
      classes,
    ]);
    await rejectsCode(
      wrong.evaluate(z, c, n).promise,
      "ERR_SHAPE_MISMATCH",
      /generator: expected an output \[\d+, 3, 16, 64\], got \[\d+, 3, 32, 32\]/,
    );
    wrong.dispose();
  });

  it("refuse segments that are none, and names that the sessions do not have", async () => {
    const config = { name: "m", fixedBatch: 0, maxBatch: 8 };
    throwsCode(
      () => addon.createRowMap({ ...config, segments: [3 as never] }),
      "ERR_INVALID_ARGUMENT",
      /segments\[0\]/,
    );
    throwsCode(
      () => addon.createRowMap({ ...config, segments: [{ ...generator, output: "nothing" }] }),
      "ERR_INVALID_ARGUMENT",
      /nothing/,
    );
    const ungraded = { ...generator, recorded: null, backward: null };
    const scored = compose(load("classifier"), crossEntropy(), { output: "logits" });
    await rejectsCode(objectiveOf([ungraded], scored, image), "ERR_INVALID_ARGUMENT", /gradient/);
  });

  it("can be cancelled", async () => {
    const cut = await objectiveOf([generator, encoder], crossEntropy(), [classes]);
    await cut.energy(z, c, n).promise;
    const many = 4000;
    const job = cut.evaluate(new Float32Array(many * 64), new Float32Array(many * classes), many);
    job.cancel();
    await rejectsCode(job.promise, "ERR_ABORTED", /./);
    cut.dispose();
  });
});
