/** Augmented energies of the demo models, in both formats and mixed. */
import { augmentation, loadModel, stage, Tr0n, type Stage } from "../../lib/index.js";
import { Builder, DataType, emptyGraph } from "../../lib/onnx/index.js";
import { Pipeline } from "../../lib/model/pipeline.js";
import { assertClose, seeded } from "../support/numbers.js";
import { demoFile, needsTorch } from "../support/torch.js";

describe("torchscript: augmented energies", function () {
  this.timeout(120_000);
  before(function () {
    needsTorch(this);
  });

  async function evaluate(generator: string, encoder: string, preprocess: Stage[]) {
    using G = await loadModel(demoFile(generator));
    using f = await loadModel(demoFile(encoder));
    const augment = augmentation.policy({ copies: 3 });
    using tr0n = await Tr0n.create({ generator: G, encoder: f, augment, preprocess });
    const objective = await tr0n.objective.native(true);
    const z = seeded(1).normals(5 * 64);
    const c = Float32Array.from({ length: 50 }, (_, i) => (i % 11 === 0 ? 1 : 0));
    return objective.evaluate(z, c, 5).promise;
  }

  for (const preprocess of [[], [stage.resize(40, 40), stage.resize(32, 32)]])
    it(`are those of the ONNX models, ${preprocess.length} stages in between`, async () => {
      const reference = await evaluate("gan-generator.onnx", "classifier.onnx", preprocess);
      for (const [generator, encoder] of [
        ["gan-generator.pt", "classifier.onnx"],
        ["gan-generator.onnx", "classifier.pt"],
        ["gan-generator.pt", "classifier.pt"],
      ] as const) {
        const { energies, gradients } = await evaluate(generator, encoder, preprocess);
        assertClose(energies, reference.energies, 1e-4, `energies, ${generator} and ${encoder}`);
        assertClose(gradients, reference.gradients, 1e-4, `gradients, ${generator} and ${encoder}`);
      }
    });

  it("go back through a generator of several parts", async () => {
    using G = await loadModel(demoFile("gan-generator.pt"));
    using f = await loadModel(demoFile("classifier.onnx"));
    const options = { generator: G, encoder: f, augment: augmentation.policy({ copies: 3 }) };
    using whole = await Tr0n.create(options);
    using parted = await Tr0n.create(options);
    const halves = new Builder(emptyGraph("half"));
    const z = halves.input("z", DataType.FLOAT, ["batch", 64]);
    halves.output("half", halves.op("Mul", [z, halves.scalar(0.5, z)]));
    const pipeline = new Pipeline("batch", [64], "cpu");
    pipeline.graph(halves.graph, { name: "half", row: [64], prefix: "" });
    await pipeline.model(whole.objective.generator, {
      output: "output",
      row: [3, 32, 32],
      prefix: "",
      batch: 0,
    });
    const { joining } = parted.objective as unknown as { joining: { generated(): Promise<Pipeline> } };
    joining.generated = () => Promise.resolve(pipeline);
    const latents = seeded(2).normals(3 * 64);
    const c = Float32Array.from({ length: 30 }, (_, i) => (i % 11 === 0 ? 1 : 0));
    const evaluated = async (tr0n: Tr0n, scale: number) =>
      (await tr0n.objective.native(true)).evaluate(
        latents.map((x) => x * scale),
        c,
        3,
      ).promise;
    const [got, expected] = [await evaluated(parted, 2), await evaluated(whole, 1)];
    assertClose(got.energies, expected.energies, 1e-6, "energies");
    assertClose(
      got.gradients.map((g) => 2 * g),
      expected.gradients,
      1e-6,
      "gradients",
    );
  });
});
