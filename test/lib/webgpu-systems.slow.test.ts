/** Whole systems on WebGPU, as Tr0n joins and differentiates them: energies and their gradients are the CPU's. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { augmentation, latent, loadModel, stage, Tr0n, type Tr0nOptions } from "../../lib/index.js";
import { packageRoot } from "../../lib/native/binding.js";
import { relativeError } from "../support/numbers.js";
import { requireWebGpu } from "../support/webgpu.js";

const fixture = (name: string): string =>
  join(packageRoot, "test", "fixtures", "architectures", `${name}.onnx`);
const demo = (name: string): string => join(packageRoot, "models", `${name}.onnx`);

describe("systems on WebGPU", function () {
  this.timeout(600_000);
  before(async function () {
    await requireWebGpu(this);
  });

  const systems: [string, string, string, Partial<Tr0nOptions>][] = [
    ["VAE and classifier", demo("vae-decoder"), demo("classifier"), { encoderKind: "logits" }],
    [
      "GAN and classifier, augmented",
      demo("gan-generator"),
      demo("classifier"),
      { encoderKind: "logits", augment: augmentation.policy({ copies: 2 }) },
    ],
  ];
  for (const generator of ["dcgan", "stylegan2", "biggan", "nvae"])
    for (const encoder of ["clip_vit", "clip_resnet"])
      systems.push([
        `${generator} and ${encoder}`,
        fixture(generator),
        fixture(encoder),
        {
          encoderKind: "embedding",
          ...(generator === "biggan"
            ? { latent: latent.product({ z: latent.normal(16), y: latent.normal(8) }) }
            : {}),
        },
      ]);

  for (const [title, generatorFile, encoderFile, options] of systems)
    it(`${title}: E and ∂E/∂z as on the CPU`, async () => {
      using generator = await loadModel(generatorFile);
      using encoder = await loadModel(encoderFile);
      const [height, width] = encoder.inputs[0]!.shape.slice(2) as [number, number];
      const n = 2;
      const of = async (device: "cpu" | "webgpu") => {
        using tr0n = await Tr0n.create({
          ...{ generator, encoder, device, seed: 1, maxBatch: n, onDecision: () => undefined },
          preprocess: [stage.resize(height, width)],
          ...options,
        });
        assert.equal(tr0n.modelDevice, device);
        const z = (await tr0n.drawPrior(n, { seed: 1 })).data as Float32Array;
        const m = tr0n.conditionSize;
        const c = Float32Array.from({ length: n * m }, (_, i) => (i % m === 0 ? 1 : 0));
        return (await tr0n.objective.native(true)).evaluate(z, c, n).promise;
      };
      const [got, expected] = [await of("webgpu"), await of("cpu")];
      assert.ok(relativeError(got.energies, expected.energies) < 1e-4, "energies");
      assert.ok(relativeError(got.gradients, expected.gradients) < 1e-4, "gradients");
    });
});
