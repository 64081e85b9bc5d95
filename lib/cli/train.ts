import { checkWritable } from "../base/atomic-write.js";
import { buildAugmentation, buildNoise } from "../config/build.js";
import { buildLatent } from "../config/latent.js";
import { energyFromSpec } from "../objective/energy.js";
import { stagesFromSpecs } from "../objective/stages.js";
import { Tr0n } from "../tr0n/tr0n.js";
import type { TrainProgress, TrainReport } from "../training/report.js";
import type { Command } from "./command.js";
import { checkMapping, latentNotes } from "./latents.js";
import {
  augmentOptions,
  placeOptions,
  modelOptions,
  need,
  over,
  readRun,
  seedOptions,
  settingOptions,
  withModels,
} from "./models.js";
import { showOpening, type Progress } from "./progress.js";
import { deviceText, whereOf, type Where } from "./where.js";
import { minPairs } from "../training/options.js";
import { networkOptions, readTranslatorOptions, trainingOptions } from "./translator-options.js";

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
    ...augmentOptions,
    ...trainingOptions,
    ...networkOptions,
    ...placeOptions,
    ...seedOptions("random, or the checkpoint's"),
  },
  notes:
    `${latentNotes}\n` +
    "With --checkpoint a run that was stopped goes on when it is started again, with the same result.",
  run: async (args, context) => {
    const folder = args.text("pairs");
    const count = args.integer("count", minPairs);
    if (folder !== undefined && count !== undefined)
      throw args.wrong("count", "no --pairs beside it", String(count));
    const given = await readTranslatorOptions(args);
    const { conditionNoise: noise, ...network } = given.translator;
    const line = {
      ...given.train,
      pairs: folder ?? count,
    };
    const run = await readRun(args);
    checkMapping(args, run);
    const out = need(args, args.text("out") ?? run.outputs?.translator, "out", "outputs.translator");
    const { conditionNoise, ...translator } = over<NonNullable<typeof run.translator>>(
      run.translator,
      network,
    );
    await checkWritable(out);
    const { device, report } = await withModels(args, run, context, async ({ mapping, ...models }) => {
      const tr0n = await Tr0n.create({
        ...models,
        generatorOutput: run.generator?.output,
        encoderOutput: run.encoder?.output,
        latent: await buildLatent(run.latent, models.generator, mapping),
        energy: run.energy && (await energyFromSpec(run.energy)),
        generatorRange: run.generatorRange,
        encoderKind: run.encoderKind,
        preprocess: run.preprocess && (await stagesFromSpecs(run.preprocess)),
        augment: buildAugmentation(run.augment) ?? undefined,
        translator: { ...translator, conditionNoise: noise ?? buildNoise(conditionNoise) },
        maxBatch: run.maxBatch,
        allowFallback: run.allowFallback,
        deviceMemory: run.deviceMemory,
        memory: run.memory,
        device: run.device,
        precision: run.precision,
        seed: run.seed,
        onOpening: showOpening(context.progress),
        signal: context.signal,
        onDecision: context.decisions.listener,
      });
      try {
        const trained = await tr0n.train({
          ...over(run.train, line),
          signal: context.signal,
          onProgress: (p) => showTraining(context.progress, p),
        });
        await tr0n.save(out);
        return { device: whereOf(tr0n), report: trained };
      } finally {
        tr0n.dispose();
      }
    });
    return {
      json: context.decisions.withDecisions({ translator: out, ...device, ...report }),
      text: describeTraining(out, device, report),
    };
  },
};

function showTraining(progress: Progress, p: TrainProgress): void {
  if (p.phase === "pairs") progress.update("pairs", p.done, p.total);
  else
    progress.update("training", p.done, p.total, `epoch ${p.epoch}/${p.epochs}, loss ${p.loss.toFixed(2)}`);
}

function describeTraining(out: string, device: Where, report: TrainReport): string {
  const lines = [
    `${out}: trained on ${report.pairs} pairs, ${report.epochs} epochs, ${report.seconds.toFixed(1)} s on ${deviceText(device)}, seed ${report.seed}`,
    Number.isNaN(report.gap)
      ? `held-out mean squared error${Number.isNaN(report.heldOutAuxiliary) ? "" : ", weighed together"}: ${report.heldOutLoss.toFixed(4)}`
      : `held-out −log q(z|c): ${report.heldOutNll.toFixed(3)} nats, ${Math.abs(report.gap).toFixed(3)} ` +
        `${report.gap < 0 ? "below" : "above"} the prior's entropy; good translators are below it`,
  ];
  if (!Number.isNaN(report.heldOutAuxiliary))
    lines.push(
      `held-out mean squared error of the auxiliary group: ${report.heldOutAuxiliary.toPrecision(4)}`,
    );
  if (report.loss === "cosine" && Number.isNaN(report.heldOutAuxiliary))
    lines.push(`held-out cosine: ${(-report.heldOutLoss).toFixed(4)}`);
  const { stepSizes, forwards, gradients, skipped } = report.pilot;
  lines.push(
    skipped === null
      ? `MALA's step sizes: ${stepSizes
          .map(
            (s) =>
              `${s.stepSize.toPrecision(2)} at fidelity ${s.fidelity} (accepts ${s.acceptance.toFixed(2)})`,
          )
          .join(", ")}; ${forwards} energies and ${gradients} gradients`
      : `MALA's step sizes: not measured, samplers go by a rule (${skipped})`,
  );
  if (report.stopped || report.bestEpoch < report.epochs)
    lines.push(
      `${report.stopped ? "stopped early; " : ""}kept epoch ${report.bestEpoch}, the best on the pairs held out`,
    );
  return [...lines, ...report.warnings.map((warning) => `warning: ${warning}`)].join("\n");
}
