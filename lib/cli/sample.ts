import { checkWritable, writeFileAtomic } from "../base/atomic-write.js";
import { encodeSafetensors } from "../base/safetensors.js";
import type { Samples } from "../tr0n/samples.js";
import { sampleSection } from "../config/document.js";
import { check } from "../options/check.js";
import { object } from "../options/describe.js";
import { flagTable, optionFlags } from "../options/flags.js";
import type { Command } from "./command.js";
import {
  conditionCount,
  conditionOptions,
  openCondition,
  readCondition,
  readTextEncoder,
} from "./conditions.js";
import {
  augmentOptions,
  placeOptions,
  modelOptions,
  need,
  over,
  ownStageOptions,
  rangeOptions,
  readRun,
  seedOptions,
  withModels,
} from "./models.js";
import { readSampler, samplerOptions } from "./samplers.js";
import { outputEnds, outputFor } from "./outputs.js";
import { loadTr0n, needTranslator, translatorOption } from "./translators.js";
import { deviceText, whereOf } from "./where.js";

const own = object({
  count: sampleSection.form.properties.count,
  scale: sampleSection.form.properties.scale,
  rate: sampleSection.form.properties.rate,
  wavFormat: sampleSection.form.properties.wavFormat,
});
const flags = optionFlags(own.form.properties);

export const sampleCommand: Command = {
  name: "sample",
  summary: "Draws samples that obey a condition and writes them: images as one picture, others as they are.",
  usage: `--translator T --generator G --encoder F (--class 7 | --text "…" | --image x.png | --embedding e.json) -o out.png`,
  options: {
    ...translatorOption,
    ...modelOptions,
    ...ownStageOptions,
    ...conditionOptions,
    out: {
      type: "string",
      short: "o",
      value: "FILE",
      help: `what to write, by its end: ${outputEnds}`,
      required: true,
    },
    latents: { type: "string", value: "FILE", help: "also write latents and energies, .safetensors" },
    ...flagTable(flags),
    ...samplerOptions,
    ...augmentOptions,
    ...rangeOptions,
    ...placeOptions,
    ...seedOptions(),
  },
  run: async (args, context) => {
    const line = args.options(flags);
    const run = await readRun(args);
    run.textEncoder = readTextEncoder(args, run);
    const spec = readCondition(args, run);
    const given = over(run.sample, line);
    const { count, scale, rate, wavFormat } = check(
      own,
      { count: given.count, scale: given.scale, rate: given.rate, wavFormat: given.wavFormat },
      { name: "sample" },
    );
    const options = {
      count,
      sampler: readSampler(args, run.sample?.sampler),
      seed: run.seed,
      signal: context.signal,
      onProgress: ({ step, steps }: { step: number; steps: number }) =>
        context.progress.update("sampling", step, steps),
    };
    const out = need(args, args.text("out") ?? run.outputs?.image, "out", "outputs.image");
    const latents = args.text("latents") ?? run.outputs?.latents;
    const translator = needTranslator(args, run);
    const condition = await openCondition(args, run, spec);
    const write = outputFor(out, { scale, rate, wavFormat }, args);
    const columns = conditionCount(condition) > 1 ? count : Math.ceil(Math.sqrt(count));
    const rows = conditionCount(condition) * count;
    for (const path of [...write.paths(rows), ...(latents === undefined ? [] : [latents])])
      await checkWritable(path);
    const started = performance.now();
    const { device, samples } = await withModels(args, run, context, async (models) => {
      const tr0n = await loadTr0n(translator, run, models, context);
      try {
        write.check([rows, ...tr0n.imageShape], tr0n.objective.layout, columns); // before the work
        return { device: whereOf(tr0n), samples: await tr0n.sample(condition, options) };
      } finally {
        tr0n.dispose();
      }
    });
    const seconds = (performance.now() - started) / 1000;
    if (latents !== undefined) await writeFileAtomic(latents, encode(samples), { signal: context.signal });
    const files = await write.write(samples, columns, context.signal);
    return {
      json: context.decisions.withDecisions({
        file: out,
        ...(files.length > 1 ? { files } : {}),
        ...(latents === undefined ? {} : { latents }),
        ...device,
        conditions: samples.ess.length,
        count,
        seed: samples.seed,
        seconds,
        energies: [...samples.energies],
        ess: finite(samples.ess),
        candidates: [...samples.candidates],
        acceptance: finite(samples.acceptance),
        evaluations: samples.evaluations,
        warnings: samples.warnings,
      }),
      text: [
        `${files.length > 1 ? `${files[0]} … ${files.at(-1)}` : out}: ${samples.energies.length} samples, seed ${samples.seed}, ${seconds.toFixed(1)} s on ${deviceText(device)}`,
        ...samples.warnings.map((warning) => `warning: ${warning}`),
      ].join("\n"),
    };
  },
};

function encode(samples: Samples): Uint8Array {
  const energies = { data: samples.energies, shape: [samples.energies.length] };
  return encodeSafetensors(
    new Map([
      ["latents", samples.latents],
      ["energies", energies],
    ]),
  );
}

/** JSON has no NaN: null stands for what the sampler does not have. */
function finite(values: Float32Array): (number | null)[] {
  return Array.from(values, (value) => (Number.isFinite(value) ? value : null));
}
