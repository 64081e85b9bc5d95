import { checkWritable, writeFileAtomic } from "../base/atomic-write.js";
import { buildSampler } from "../config/build.js";
import { evaluate } from "../evaluate/evaluate.js";
import { formatEvaluation } from "../evaluate/report.js";
import { evaluateOptions } from "../evaluate/options.js";
import { recipeNames, recipes, type RecipeName } from "../evaluate/recipes.js";
import { flagTable, optionFlags } from "../options/flags.js";
import type { Command } from "./command.js";
import {
  augmentOptions,
  placeOptions,
  modelOptions,
  over,
  ownStageOptions,
  readRun,
  seedOptions,
  withModels,
} from "./models.js";
import { loadTr0n, needTranslator, translatorOption } from "./translators.js";

const flags = optionFlags(evaluateOptions.form.properties);
const defaults: RecipeName[] = ["prior", "translator", "resample", "fidelity-10"];

export const evaluateCommand: Command = {
  name: "evaluate",
  summary: "Measures samples of a classifier's classes against exact ones: accuracy, FD, diversity, cost.",
  usage: "--translator T --generator G --encoder F [--recipes resample,mala]",
  options: {
    ...translatorOption,
    ...modelOptions,
    ...ownStageOptions,
    recipes: { type: "string", value: "LIST", help: `ways to sample (default: ${defaults.join(",")})` },
    ...flagTable(flags),
    ...augmentOptions,
    ...placeOptions,
    out: { type: "string", short: "o", value: "FILE", help: "also write the report as JSON" },
    ...seedOptions(),
  },
  notes: `Recipes: ${recipeNames.join(", ")}.`,
  run: async (args, context) => {
    const chosen = args.list("recipes");
    for (const name of chosen ?? [])
      if (!Object.hasOwn(recipes, name))
        throw args.wrong("recipes", `some of ${recipeNames.join(", ")}`, name);
    const line = { ...args.options(flags), recipes: chosen as RecipeName[] | undefined };
    const run = await readRun(args);
    const options = over(run.evaluate, line);
    const out = args.text("out") ?? run.outputs?.report;
    const translator = needTranslator(args, run);
    if (out !== undefined) await checkWritable(out);
    const report = await withModels(args, run, context, async (models) => {
      const tr0n = await loadTr0n(translator, run, models, context);
      try {
        return await evaluate(tr0n, {
          ...options,
          recipes: (options.recipes ?? defaults).map((recipe) =>
            typeof recipe === "string"
              ? recipes[recipe as RecipeName]
              : { name: recipe.name, sampler: buildSampler(recipe.sampler) },
          ),
          seed: run.seed,
          signal: context.signal,
          onProgress: ({ phase, done, total }) => context.progress.update(phase, done, total),
        });
      } finally {
        tr0n.dispose();
      }
    });
    const json = context.decisions.withDecisions(report);
    if (out !== undefined)
      await writeFileAtomic(out, `${JSON.stringify(json, null, 2)}\n`, { signal: context.signal });
    return { json, text: formatEvaluation(report) };
  },
};
