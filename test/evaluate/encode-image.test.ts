import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeImages } from "../../lib/condition/encode-image.js";
import { writeImages } from "../../lib/image/grid.js";
import { readImage } from "../../lib/image/read.js";
import { Tr0n, energy, loadModel, stage, tensor, type Tensor, type Tr0nOptions } from "../../lib/index.js";
import { analyticClassifier, analyticGenerator } from "../support/analytic.js";

describe("encodeImages", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tr0n-encode-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** The condition of a picture, and what the encoder says about the same picture. */
  async function encoded(options: Partial<Tr0nOptions>, soft = false) {
    const generator = await loadModel(analyticGenerator());
    const encoder = await loadModel(analyticClassifier(0, soft));
    const tr0n = await Tr0n.create({ generator, encoder, ...options });
    const path = join(folder, "x.png");
    await writeImages(path, tensor([1, -0.5, 0.25, 0.9, -0.75, 0.1], [1, 3, 1, 2]), { gap: 0 });
    try {
      const image = await readImage(path);
      return {
        condition: await encodeImages(tr0n.objective, "image", path, new AbortController().signal),
        image,
        run: async (x: Tensor = image) => [...Object.values(await encoder.run(x))[0]!.data],
      };
    } finally {
      tr0n.dispose();
    }
  }

  const softmax = ([p, q]: number[]): number[] => [1 / (1 + Math.exp(q! - p!)), 1 / (1 + Math.exp(p! - q!))];
  const near = (actual: ArrayLike<number>, expected: number[]): void =>
    expected.forEach((value, i) =>
      assert.ok(Math.abs(actual[i]! - value) < 1e-6, `${actual[i]} is not ${value}`),
    );

  it("is the encoder's class distribution, its direction, or its numbers", async () => {
    const classes = await encoded({});
    assert.deepEqual(classes.condition.shape, [1, 2]);
    near(classes.condition.data, softmax(await classes.run()));
    const soft = await encoded({}, true);
    near(soft.condition.data, await soft.run());
    const direction = await encoded({ energy: energy.cosine() });
    const raw = await direction.run();
    near(
      direction.condition.data,
      raw.map((x) => x / Math.hypot(...raw)),
    );
    const numbers = await encoded({ energy: energy.squaredError() });
    near(numbers.condition.data, await numbers.run());
  });

  it("goes through the stages that stand before the encoder", async () => {
    const { condition, image, run } = await encoded({
      preprocess: [stage.scale([-1, 1], [0, 1]), stage.normalize([0.1, 0.2, 0.3], 0.5)],
    });
    const staged = image.data.map((x, i) => ((x + 1) / 2 - [0.1, 0.2, 0.3][i >> 1]!) / 0.5);
    near(condition.data, softmax(await run(tensor(staged, image.shape))));
  });
});
