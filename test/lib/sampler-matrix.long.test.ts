/**
 * Any sampler with any energy, augmented or not, under any latent, on every device: results are finite, the same for a seed,
 * the same however the batch is split, and the CPU's.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  augmentation,
  energy,
  latent,
  loadModel,
  sampler,
  tensor,
  Tr0n,
  type Condition,
  type Latent,
  type Model,
  type Sampler,
  type SampleOptions,
  type Tr0nOptions,
} from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { onDevices } from "../support/devices.js";
import { flatEncoder, mappingModel, twoInputs } from "../support/latents.js";
import { bits, close, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

/** No doubling of candidates: whether there is one depends on all of a condition's chains, as it says. */
const few = { candidates: 4, minEss: 0 };
const samplers: Record<string, Sampler> = {
  resample: sampler.resample({ ...few, steps: 2 }),
  "resample without steps": sampler.resample({ ...few, steps: 0 }),
  "resample in rounds": sampler.resample({ ...few, rounds: 2, steps: 1 }),
  "resample with a pilot": sampler.resample({ ...few, steps: 2, adapt: "pilot", pilotSteps: 3 }),
  mala: sampler.mala({ steps: 2 }),
  "mala with a pilot": sampler.mala({ steps: 2, adapt: "pilot", pilotSteps: 3 }),
  langevin: sampler.langevin({ steps: 3 }),
  hybrid: sampler.hybrid({ steps: 3 }),
  direct: sampler.direct(),
  "from the prior": sampler.mala({ start: "prior", steps: 2 }),
};

/** E = Σ_j (output − condition)⁴_j */
function quartic(): Uint8Array {
  const b = new Builder(emptyGraph("energy"));
  const output = b.input("output", DataType.FLOAT, ["batch", 3]);
  const difference = b.op("Sub", [output, b.input("condition", DataType.FLOAT, ["batch", 3])]);
  const square = b.op("Mul", [difference, difference]);
  b.output("energy", b.sum(b.op("Mul", [square, square]), [1], false));
  b.graph.outputs[0]!.dims = ["batch"];
  return encodeModel(b.graph);
}

const vectors = numbers(41, 6);
const both: Condition = { embedding: tensor(vectors, [2, 3]) };
const second: Condition = { embedding: tensor(vectors.slice(3), [1, 3]) };

interface Case {
  readonly options: Partial<Tr0nOptions>;
  readonly both: Condition;
  /** The second of them. */
  readonly second: Condition;
  /** Of the latent's support. */
  readonly bound?: number;
  /** The group z is mapped. */
  readonly mapped?: boolean;
}
const vectorCase = (options: Partial<Tr0nOptions>, bound?: number): Case => ({
  options,
  both,
  second,
  ...(bound === undefined ? {} : { bound }),
});

onDevices("Any sampler", function (device) {
  const opened: Model[] = [];
  let models: Record<"generator" | "encoder" | "twoInputs" | "flatEncoder" | "mapping", Model>;
  before(async () => {
    const open = async (bytes: Uint8Array): Promise<Model> => {
      const model = await loadModel(bytes);
      opened.push(model);
      return model;
    };
    models = {
      generator: await open(tinyGenerator()),
      encoder: await open(tinyEncoder({ scale: 2 })),
      twoInputs: await open(twoInputs()),
      flatEncoder: await open(flatEncoder()),
      mapping: await open(mappingModel()),
    };
  });
  after(() => {
    for (const model of opened) model[Symbol.dispose]();
  });

  /** Trains on the CPU; the same translator is drawn from on this device, and on the CPU for comparison. */
  async function check({ options, both, second, bound, mapped }: Case): Promise<void> {
    const parts = { generator: models.generator, encoder: models.encoder, ...options };
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      using reference = await Tr0n.create({ ...parts, seed: 1, device: "cpu" });
      await reference.train({ pairs: 200, epochs: 2, batchSize: 32, seed: 3 });
      await reference.save(path);
      const load = (more: { maxBatch?: number }): Promise<Tr0n> =>
        Tr0n.load(path, {
          generator: parts.generator,
          encoder: parts.encoder,
          ...(parts.energy?.kind === "onnx" ? { energy: parts.energy } : {}),
          ...(parts.augment ? { augment: parts.augment } : {}),
          ...(mapped ? { mapping: { z: models.mapping } } : {}),
          device,
          ...more,
        });
      using tr0n = await load({});
      using narrow = await load({ maxBatch: 5 });
      for (const [name, chosen] of Object.entries(samplers)) {
        const how = (count: number): SampleOptions => ({ count, seed: 7, sampler: chosen });
        const whole = await tr0n.sample(both, how(3));
        assert.ok(whole.latents.data.every(Number.isFinite), `${name}: latents`);
        assert.ok(whole.images.data.every(Number.isFinite), `${name}: images`);
        assert.ok(whole.energies.every(Number.isFinite), `${name}: energies`);
        if (bound !== undefined)
          assert.ok(
            whole.latents.data.every((x) => Math.abs(x) <= bound),
            `${name}: within ±${bound}`,
          );
        // The same seed again, in other batches.
        const again = await narrow.sample(both, how(3));
        assert.equal(bits(again.latents.data), bits(whole.latents.data), `${name}, again: latents`);
        assert.equal(bits(again.energies), bits(whole.energies), `${name}, again: energies`);
        // The second condition alone, and fewer samples of it.
        const d = whole.latents.shape[1]!;
        const alone = await tr0n.sample(second, how(2));
        assert.equal(
          bits(alone.latents.data),
          bits(whole.latents.data.slice(3 * d, 5 * d)),
          `${name}, alone: latents`,
        );
        assert.equal(bits(alone.energies), bits(whole.energies.slice(3, 5)), `${name}, alone: energies`);
        if (device === "cpu") continue;
        const expected = await reference.sample(both, how(3));
        close(whole.latents.data, expected.latents.data, 2e-3, `${name}: latents, as the CPU's`);
        const scale = Math.max(1, ...expected.energies.map(Math.abs));
        close(whole.energies, expected.energies, 2e-3 * scale, `${name}: energies, as the CPU's`);
      }
    });
  }

  const policy = augmentation.policy({ copies: 2 });
  const energies: Record<string, Case> = {
    crossEntropy: {
      options: { energy: energy.crossEntropy() },
      both: { class: [2, 0] },
      second: { class: 0 },
    },
    cosine: vectorCase({ energy: energy.cosine() }),
    squaredError: vectorCase({ energy: energy.squaredError() }),
    "sum with a negative weight": vectorCase({
      energy: energy.sum(energy.squaredError(), [energy.cosine(), -0.5]),
    }),
    "sum with the prior": vectorCase({ energy: energy.sum(energy.cosine(), energy.prior(0.5)) }),
    fromOnnx: vectorCase({ energy: energy.fromOnnx(quartic()) }),
  };
  for (const [name, { options, ...rest }] of Object.entries(energies))
    for (const augment of [undefined, policy])
      it(`with ${name}${augment ? ", augmented" : ""}`, () =>
        check({ options: { ...options, ...(augment ? { augment } : {}) }, ...rest }));

  const table = tensor(numbers(9, 12), [4, 3]);
  const linear = (prior: Latent): Partial<Tr0nOptions> => ({
    generator: models.twoInputs,
    encoder: models.flatEncoder,
    energy: energy.squaredError(),
    latent: prior,
  });
  const latents: Record<string, () => Case> = {
    truncated: () =>
      vectorCase({ energy: energy.squaredError(), latent: latent.truncatedNormal(6, 1.5) }, 1.5),
    uniform: () => vectorCase({ energy: energy.cosine(), latent: latent.uniform(6) }, 1),
    "a product with a table": () =>
      vectorCase(linear(latent.product({ z: latent.truncatedNormal(2, 2), y: latent.table(table) }))),
    "a hierarchy": () => vectorCase(linear(latent.hierarchical({ z: 2, y: 3 }, { temperature: 0.6 }))),
    "a product with a mapped group": () => ({
      ...vectorCase(
        linear(
          latent.product({ z: latent.mapped(models.mapping, latent.normal(2)), y: latent.uniform(3, -1, 2) }),
        ),
      ),
      mapped: true,
    }),
    "stds of each component": () =>
      vectorCase({ energy: energy.squaredError(), translator: { stds: "component", components: 3 } }),
  };
  for (const [name, of] of Object.entries(latents)) it(`under ${name}`, () => check(of()));
});
