import { buildLatent } from "../config/latent.js";
import { energyFromSpec } from "../objective/energy.js";
import { stagesFromSpecs } from "../objective/stages.js";
import { generatePairs } from "../training/pairs-folder.js";
import { pairsSection } from "../config/document.js";
import { flagTable, optionFlags } from "../options/flags.js";
import type { Command } from "./command.js";
import { checkMapping, latentNotes } from "./latents.js";
import {
  modelOptions,
  need,
  over,
  placeOptions,
  readRun,
  seedOptions,
  settingOptions,
  withModels,
} from "./models.js";
import { showOpening } from "./progress.js";

const flags = optionFlags(pairsSection.form.properties);

export const pairsCommand: Command = {
  name: "pairs",
  summary: "Writes synthetic pairs (latent, condition) to a folder, for `tr0n train --pairs`.",
  usage: "--generator G --encoder F -n 100000 -o DIR",
  options: {
    ...modelOptions,
    ...settingOptions,
    ...flagTable(flags),
    device: placeOptions["device"]!,
    "model-device": placeOptions["model-device"]!,
    out: { type: "string", short: "o", value: "DIR", help: "the folder, made where missing", required: true },
    ...seedOptions("the folder's, or a random one"),
  },
  notes:
    `${latentNotes}\n` + "A run that was stopped goes on from its last whole file when it is started again.",
  run: async (args, context) => {
    const line = args.options(flags);
    const run = await readRun(args);
    checkMapping(args, run);
    const { count, shardSize } = over(run.pairs, line);
    const folder = need(args, args.text("out") ?? run.outputs?.pairs, "out", "outputs.pairs");
    const wanted = need(args, count, "count", "pairs.count");
    const report = await withModels(
      args,
      run,
      context,
      async ({ generator, encoder, pairEncoder, mapping }) =>
        generatePairs({
          generator,
          encoder,
          pairEncoder,
          generatorOutput: run.generator?.output,
          encoderOutput: run.encoder?.output,
          folder,
          count: wanted,
          shardSize,
          seed: run.seed,
          energy: run.energy && (await energyFromSpec(run.energy)),
          latent: await buildLatent(run.latent, generator, mapping),
          generatorRange: run.generatorRange,
          encoderKind: run.encoderKind,
          preprocess: run.preprocess && (await stagesFromSpecs(run.preprocess)),
          maxBatch: run.maxBatch,
          allowFallback: run.allowFallback,
          deviceMemory: run.deviceMemory,
          memory: run.memory,
          device: run.device,
          onOpening: showOpening(context.progress),
          signal: context.signal,
          onDecision: context.decisions.listener,
          onProgress: ({ done, total }) => context.progress.update("pairs", done, total),
        }),
    );
    const repaired = report.repaired.length > 0 ? `, ${report.repaired.length} damaged files made again` : "";
    return {
      json: context.decisions.withDecisions({ folder, ...report }),
      text: `${folder}: ${report.count} pairs (${report.generated} new${repaired}), seed ${report.seed}, ${report.seconds.toFixed(1)} s`,
    };
  },
};
