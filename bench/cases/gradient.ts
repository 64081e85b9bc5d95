/** Gradient steps with frozen weights, of pipelines as samplers run them and of models alone, against PyTorch's autograd. */
import { fixBatch, graphCost } from "../../lib/onnx/index.js";
import { energy, latent, loadModel, stage } from "../../lib/index.js";
import { runJob } from "../../lib/native/job.js";
import type { OnnxModel } from "../../lib/model/model.js";
import { createObjective } from "../../lib/objective/composition-options.js";
import type { Case, Row, Surroundings } from "../case.js";
import { medianTime, modelFile, runPeer, sameResults, sameRows, spread } from "../models.js";

interface Step {
  name: string;
  /** One model alone, or a generator, the encoder's image size (0: as it is) and an encoder. */
  models: readonly [string] | readonly [string, number, string];
  batch: number;
  target: number;
  tolerance?: number;
  /** Default: the same. */
  gradientTolerance?: number;
}

const steps: readonly Step[] = [
  { name: "demo GAN → classifier", models: ["gan-generator", 0, "classifier"], batch: 1000, target: 3 },
  { name: "demo VAE → classifier", models: ["vae-decoder", 0, "classifier"], batch: 1000, target: 3 },
  // Rectifiers and maxima of fifty layers, of which some turn at roundings: PyTorch's own gradient in float32 differs from
  // that in float64 by 0.7 to 1.3 % of its norm here, and by 1.6 to 3 % for ResNet-50 alone.
  {
    name: "DCGAN → ResNet-50",
    models: ["dcgan", 224, "resnet50"],
    batch: 8,
    target: 1.45,
    tolerance: 1e-3,
    gradientTolerance: 5e-2,
  },
  { name: "DCGAN", models: ["dcgan"], batch: 16, target: 4 },
  { name: "ViT-B/32", models: ["clip_vit"], batch: 8, target: 2 },
  {
    name: "ResNet-50",
    models: ["resnet50"],
    batch: 8,
    target: 1.45,
    tolerance: 1e-3,
    gradientTolerance: 5e-2,
  },
];

interface Prepared {
  /** Shape of the input and of what comes out. */
  x: readonly number[];
  values: readonly number[];
  run: () => Promise<{ values: Float32Array; gradient: Float32Array }>;
  /** Operations of a forward pass. */
  operations: number;
  dispose: () => void;
}

async function operations(model: OnnxModel, batch: number): Promise<number> {
  return graphCost(fixBatch(await model.graph(), batch).graph).flops;
}

async function alone(path: string, batch: number): Promise<Prepared> {
  const model = (await loadModel(path)) as OnnxModel;
  const [input, output] = [model.inputs[0]!, model.outputs[0]!];
  const x = [batch, ...input.shape!.slice(1)] as number[];
  const data = spread(x.reduce((p, q) => p * q, 1));
  const { [output.name]: first } = await model.run({ [input.name]: { data, shape: x } });
  const values = first!.shape;
  const ones = { data: new Float32Array(first!.data.length).fill(1), shape: values };
  const run = async (): Promise<{ values: Float32Array; gradient: Float32Array }> => {
    const result = await model.vjp({ [input.name]: { data, shape: x } }, { [output.name]: ones });
    return {
      values: result.outputs[output.name]!.data,
      gradient: result.gradients[input.name]!.data,
    };
  };
  return { x, values, run, operations: await operations(model, batch), dispose: () => model.dispose() };
}

async function together(
  paths: readonly [string, string],
  size: number,
  batch: number,
  c: Float32Array,
): Promise<Prepared> {
  const [generator, encoder] = (await Promise.all(paths.map((path) => loadModel(path)))) as [
    OnnxModel,
    OnnxModel,
  ];
  const dim = generator.inputs[0]!.shape![1]!;
  const preprocess = size === 0 ? [] : [stage.resize(size, size)];
  const objective = await createObjective({
    generator,
    encoder,
    latent: latent.normal(dim),
    energy: energy.crossEntropy(),
    preprocess,
  });
  const both = await objective.native(true);
  const z = spread(batch * dim);
  const run = async (): Promise<{ values: Float32Array; gradient: Float32Array }> => {
    const { energies, gradients } = await runJob("bench", undefined, () => both.evaluate(z, c, batch));
    return { values: energies, gradient: gradients };
  };
  return {
    x: [batch, dim],
    values: [batch],
    run,
    operations: (await operations(generator, batch)) + (await operations(encoder, batch)),
    dispose: () => {
      objective.dispose();
      generator.dispose();
      encoder.dispose();
    },
  };
}

/** By rows where there are many; of few, a turned rectifier may be in each, and the step's own tolerance allows for it. */
function sameGradient(
  what: string,
  ours: Float32Array,
  theirs: Float32Array,
  rows: number,
  tolerance: number,
): void {
  if (rows >= 100) sameRows(what, ours, theirs, rows, tolerance);
  else sameResults(what, ours, theirs, tolerance);
}

async function measure(around: Surroundings, step: Step): Promise<Row | null> {
  const { models, batch, tolerance = 1e-4, gradientTolerance = tolerance } = step;
  const names = [...models].filter((item): item is string => typeof item === "string");
  const paths: string[] = [];
  for (const name of names) {
    const path = await modelFile(name, around);
    if (path === null) {
      process.stderr.write(`${step.name} skipped: PyTorch has to make its models\n`);
      return null;
    }
    paths.push(path);
  }
  const size = models.length === 3 ? models[1] : 0;
  const classes = models[2] === "resnet50" ? 1000 : 10;
  const c = new Float32Array(batch * classes);
  for (let i = 0; i < batch; i++) c[i * classes + (i % classes)] = 1;
  const pair = paths.length === 2;
  const ours = pair
    ? await together(paths as [string, string], size, batch, c)
    : await alone(paths[0]!, batch);
  try {
    let theirs: number | undefined;
    if (around.python !== null) {
      const first = await ours.run();
      const inputs = {
        x: { data: spread(first.gradient.length), shape: ours.x },
        ...(pair ? { c: { data: c, shape: [batch, classes] } } : {}),
      };
      const argument = pair ? { generator: names[0], encoder: names[1], size } : { model: names[0] };
      const shapes = { values: ours.values, gradient: ours.x };
      const peer = await runPeer(around, "gradient.py", argument, inputs, shapes);
      sameResults(`${step.name}: values`, first.values, peer.results.get("values")!, tolerance);
      sameGradient(
        `${step.name}: gradient`,
        first.gradient,
        peer.results.get("gradient")!,
        batch,
        gradientTolerance,
      );
      theirs = peer.median;
    }
    const time = await medianTime(around.seconds, 5, ours.run);
    return {
      name: `${step.name}, batch ${batch}`,
      unit: "ms",
      ours: time,
      peers: theirs === undefined ? undefined : { PyTorch: theirs },
      // With frozen weights the backward pass multiplies as much as the forward pass.
      limit: { value: (2000 * ours.operations) / around.limits.arithmetic, by: "arithmetic" },
      target: step.target,
    };
  } finally {
    ours.dispose();
  }
}

const gradient: Case = {
  name: "gradient",
  summary: "a gradient step with respect to the input, weights frozen",
  async run(around) {
    const rows: Row[] = [];
    for (const step of steps) {
      const row = await measure(around, step);
      if (row !== null) rows.push(row);
    }
    return rows;
  },
};
export default gradient;
