/** Augmented energies of the demo models, in both formats and mixed. */
import { augmentation, loadModel, stage, Tr0n, type Stage } from "../../lib/index.js";
import { assertClose, seeded } from "../support/numbers.js";
import { demoFile, needsTorch } from "./support.js";

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
});
