import { generatePairs } from "../pairs.js";
import type { Command } from "./command.js";
import { latentNotes, modelOptions, readSettings, settingOptions, withModels } from "./models.js";

export const pairsCommand: Command = {
  name: "pairs",
  summary: "Writes synthetic pairs (latent, condition) to a folder, for `tr0n train --pairs`.",
  usage: "--generator G --encoder F -n 100000 -o DIR",
  options: {
    ...modelOptions,
    ...settingOptions,
    count: { type: "string", short: "n", value: "N", help: "pairs the folder shall have", required: true },
    out: { type: "string", short: "o", value: "DIR", help: "the folder, made where missing", required: true },
    "shard-size": { type: "string", value: "N", help: "pairs a file (default 8192)" },
    seed: {
      type: "string",
      value: "N",
      help: "decides the latents (default: the folder's, or a random one)",
    },
  },
  notes:
    `${latentNotes}\n` + "A run that was stopped goes on from its last whole file when it is started again.",
  run: async (args, context) => {
    const settings = readSettings(args);
    const count = args.integer("count", 1)!;
    const shardSize = args.integer("shard-size", 1);
    const seed = args.integer("seed", 0);
    const folder = args.required("out");
    const report = await withModels(args, context, async ({ generator, encoder, mapping }) =>
      generatePairs({
        generator,
        encoder,
        folder,
        count,
        shardSize,
        seed,
        energy: settings.energy,
        latent: await settings.latent(generator, mapping),
        preprocess: settings.preprocess,
        signal: context.signal,
        onProgress: ({ done, total }) => context.progress.update("pairs", done, total),
      }),
    );
    const repaired = report.repaired.length > 0 ? `, ${report.repaired.length} damaged files made again` : "";
    return {
      json: { folder, ...report },
      text: `${folder}: ${report.count} pairs (${report.generated} new${repaired}), seed ${report.seed}, ${report.seconds.toFixed(1)} s`,
    };
  },
};
