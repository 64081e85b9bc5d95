import { checkWritable } from "../atomic-write.js";
import { Tr0n } from "../tr0n.js";
import type { TrainProgress, TrainReport } from "../training.js";
import type { Command } from "./command.js";
import {
  deviceOptions,
  latentNotes,
  modelOptions,
  readDevice,
  readSettings,
  settingOptions,
  withModels,
} from "./models.js";
import type { Progress } from "./progress.js";

export const trainCommand: Command = {
  name: "train",
  summary: "Trains a translator for a generator and an encoder, both frozen.",
  usage: "--generator G --encoder F [--pairs DIR | -n 50000] -o T.safetensors",
  options: {
    ...modelOptions,
    out: {
      type: "string",
      short: "o",
      value: "FILE",
      help: "the translator to write, .safetensors",
      required: true,
    },
    pairs: { type: "string", value: "DIR", help: "pairs made by `tr0n pairs`" },
    count: {
      type: "string",
      short: "n",
      value: "N",
      help: "pairs to make, where there is no --pairs (default 50000)",
    },
    ...settingOptions,
    preset: {
      type: "string",
      value: "NAME",
      help: "recommended or official, the paper's (default: recommended)",
    },
    epochs: { type: "string", value: "N", help: "passes over the pairs (default 6; official 10)" },
    "batch-size": { type: "string", value: "N", help: "pairs a step (default 256; official 16)" },
    "learning-rate": {
      type: "string",
      value: "X",
      help: "Adam's, at the start (default 1e-3; official 1e-4)",
    },
    components: { type: "string", value: "K", help: "components of the mixture (default 10)" },
    hidden: { type: "string", value: "N", help: "width of the network (default 4 × the condition)" },
    ...deviceOptions,
    checkpoint: { type: "string", value: "FILE", help: "go on from this file, and keep it up to date" },
    seed: {
      type: "string",
      value: "N",
      help: "decides everything random (default: random, or the checkpoint's)",
    },
  },
  notes:
    `${latentNotes}\n` +
    "With --checkpoint a run that was stopped goes on when it is started again, with the same result.",
  run: async (args, context) => {
    const settings = readSettings(args);
    const place = readDevice(args);
    const out = args.required("out");
    const folder = args.text("pairs");
    const count = args.integer("count", 1);
    if (folder !== undefined && count !== undefined)
      throw args.wrong("count", "no --pairs beside it", String(count));
    const seed = args.integer("seed", 0);
    const translator = { components: args.integer("components", 1), hidden: args.integer("hidden", 1) };
    const options = {
      pairs: folder ?? count,
      preset: args.choice("preset", ["recommended", "official"]),
      epochs: args.integer("epochs", 1),
      batchSize: args.integer("batch-size", 1),
      learningRate: args.number("learning-rate", { above: 0 }),
      checkpoint: args.text("checkpoint"),
    };
    await checkWritable(out);
    const { device, report } = await withModels(args, context, async ({ generator, encoder, mapping }) => {
      const tr0n = await Tr0n.create({
        generator,
        encoder,
        energy: settings.energy,
        latent: await settings.latent(generator, mapping),
        preprocess: settings.preprocess,
        translator,
        seed,
        ...place,
      });
      try {
        const trained = await tr0n.train({
          ...options,
          signal: context.signal,
          onProgress: (p) => showTraining(context.progress, p),
        });
        await tr0n.save(out);
        return { device: tr0n.device, report: trained };
      } finally {
        tr0n.dispose();
      }
    });
    return { json: { translator: out, device, ...report }, text: describeTraining(out, device, report) };
  },
};

export function showTraining(progress: Progress, p: TrainProgress): void {
  if (p.phase === "pairs") progress.update("pairs", p.done, p.total);
  else
    progress.update("training", p.done, p.total, `epoch ${p.epoch}/${p.epochs}, loss ${p.loss.toFixed(2)}`);
}

function describeTraining(out: string, device: string, report: TrainReport): string {
  const lines = [
    `${out}: trained on ${report.pairs} pairs, ${report.epochs} epochs, ${report.seconds.toFixed(1)} s on ${device}, seed ${report.seed}`,
    `held-out −log q(z|c): ${report.heldOutNll.toFixed(3)} nats, ${Math.abs(report.gap).toFixed(3)} ` +
      `${report.gap < 0 ? "below" : "above"} the prior's entropy (below is right)`,
  ];
  return [...lines, ...report.warnings.map((warning) => `warning: ${warning}`)].join("\n");
}
