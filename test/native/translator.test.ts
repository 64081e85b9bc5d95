import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { checkDevice, type Device } from "../../lib/native/devices.js";
import { native } from "../../lib/native/binding.js";
import type { NativeTranslator } from "../../lib/native/types/translator.js";
import { onDevices } from "../support/devices.js";
import { assertClose } from "../support/numbers.js";

interface Case {
  config: { condition: number; hidden: number; latent: number; components: number; auxiliary: number; bound: number };
  n: number;
  alpha: number;
  c: number[];
  z: number[];
  y: number[] | null;
  parameters: Record<string, number[]>;
  loss: number;
  gradients: Record<string, number[]>;
  logDensity: number[];
  logits: number[];
  means: number[];
  stds: number[];
  adam: { steps: number; learningRate: number; clip: number; norms: number[]; parameters: Record<string, number[]> };
}

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/translator/${name}.json`, import.meta.url), "utf8")) as Case;

function build(data: Case, device: Device): NativeTranslator {
  const translator = native().createTranslator(data.config, 0n, checkDevice("device", device));
  translator.setValues(flatten(translator, data.parameters));
  return translator;
}

/** Named tensors → the flat vector. Every tensor of PyTorch's state_dict must have a place, and the other way round. */
function flatten(translator: NativeTranslator, tensors: Record<string, number[]>): Float32Array {
  assert.deepEqual(translator.parameters.map((p) => p.name).sort(), Object.keys(tensors).sort());
  const flat = new Float32Array(translator.parameters.reduce((sum, p) => sum + p.size, 0));
  for (const p of translator.parameters) {
    assert.equal(tensors[p.name]!.length, p.size, p.name);
    flat.set(tensors[p.name]!, p.offset);
  }
  return flat;
}

onDevices("translator against PyTorch", (device) => {
  for (const name of ["plain", "bounded-auxiliary", "one-component-batch-one", "narrow"]) {
    describe(name, () => {
      const data = fixture(name);
      const c = Float32Array.from(data.c);
      const z = Float32Array.from(data.z);
      const y = data.y && Float32Array.from(data.y);

      it("has the same mixture and log-density", async () => {
        const translator = build(data, device);
        const mixture = await translator.forward(c, data.n).promise;
        assertClose(mixture.logits, data.logits, 1e-5, "logits");
        assertClose(mixture.means, data.means, 1e-5, "means");
        assertClose(mixture.stds, data.stds, 1e-5, "stds");
        assertClose(await translator.logDensity(c, z, data.n).promise, data.logDensity, 1e-5, "log-density");
        translator.dispose();
      });

      it("has the same loss and the same gradient in every parameter", async () => {
        const translator = build(data, device);
        const { loss, gradients } = await translator.loss(c, z, y, data.n, data.alpha).promise;
        assertClose([loss], [data.loss], 1e-5, "loss");
        for (const p of translator.parameters)
          assertClose(gradients.subarray(p.offset, p.offset + p.size), data.gradients[p.name]!, 1e-5, p.name);
        translator.dispose();
      });

      it("follows ten clipped Adam steps under a cosine schedule", async () => {
        const translator = build(data, device);
        const trainer = native().createTrainer(
          translator,
          // One batch an epoch: the order inside it does not matter to a mean.
          {
            epochs: data.adam.steps,
            batch: data.n,
            learningRate: data.adam.learningRate,
            clip: data.adam.clip,
            alpha: data.alpha,
            seed: 3n,
          },
          z,
          c,
          y,
          data.n,
        );
        for (const norm of data.adam.norms) {
          const progress = await trainer.run(1).promise;
          assertClose([progress.gradientNorm], [norm], 1e-3, `gradient norm at step ${progress.step}`);
        }
        assert.equal(trainer.step(), data.adam.steps);
        const values = translator.values();
        for (const p of translator.parameters)
          assertClose(values.subarray(p.offset, p.offset + p.size), data.adam.parameters[p.name]!, 1e-4, p.name);
        trainer.dispose();
        translator.dispose();
      });
    });
  }

  it("matches float64 finite differences of its own loss in a direction", async () => {
    // Independent of PyTorch: the slope of the loss along the gradient is the gradient's squared norm.
    const data = fixture("plain");
    const translator = build(data, device);
    const c = Float32Array.from(data.c);
    const z = Float32Array.from(data.z);
    const start = translator.values();
    const { gradients } = await translator.loss(c, z, null, data.n, 1).promise;
    const norm2 = gradients.reduce((sum, g) => sum + g * g, 0);
    const h = 1e-3 / Math.sqrt(norm2);
    const at = async (sign: number) => {
      translator.setValues(start.map((value, i) => value + sign * h * gradients[i]!));
      return (await translator.loss(c, z, null, data.n, 1).promise).loss;
    };
    const slope = ((await at(1)) - (await at(-1))) / (2 * h);
    assertClose([slope], [norm2], 2e-3, "slope along the gradient");
    translator.dispose();
  });
});

describe("Philox4x32-10", () => {
  // Known-answer vectors of the authors' reference implementation (Random123).
  const cases: [number[], number[], number[]][] = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  for (const [counter, key, expected] of cases)
    it(`counter ${counter[0]!.toString(16)}`, () => assert.deepEqual(native().philox(counter, key), expected));
});
