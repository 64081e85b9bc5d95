/** Writes docs/options.md from the options themselves: `npm run schema`. A test holds the page to it. */
import { writeFile } from "node:fs/promises";
import { format } from "prettier";
import { documentShape } from "../lib/config/document.js";
import type { Command } from "../lib/cli/command.js";
import { evaluateCommand } from "../lib/cli/evaluate.js";
import { pairsCommand } from "../lib/cli/pairs.js";
import { sampleCommand } from "../lib/cli/sample.js";
import { trainCommand } from "../lib/cli/train.js";
import { evaluateOptions } from "../lib/evaluate/options.js";
import { textEncoderOptions } from "../lib/condition/text-encoder.js";
import { latents } from "../lib/latent/kinds/index.js";
import { differentiateModelOptions } from "../lib/model/differentiate.js";
import { modelOptions } from "../lib/model/interface.js";
import { augmentationOptions } from "../lib/objective/augment.js";
import { compositionOptions } from "../lib/objective/composition-options.js";
import { energyInFile } from "../lib/objective/energy.js";
import { stageInFile } from "../lib/objective/stages.js";
import { either, resolved, type ObjectShape, type Properties, type Shape } from "../lib/options/describe.js";
import { optionTable } from "../lib/options/markdown.js";
import { groupUpdate } from "../lib/sampling/samplers/langevin.js";
import { samplers } from "../lib/sampling/samplers/index.js";
import { interpolateOptions, loadModels, stepsOptions, tr0nOptions } from "../lib/tr0n/options.js";
import { trainOptions, translatorSettings } from "../lib/training/options.js";
import { pairsOptions } from "../lib/training/pairs-folder.js";
import { noiseInFile } from "../lib/translator/noise.js";
import { translatorOptions } from "../lib/translator/translator.js";
import { trainerOptions } from "../lib/translator/trainer.js";

/** Those that another table does not have. */
function without(shape: ObjectShape, ...others: ObjectShape[]): Properties {
  const known = new Set(others.flatMap(({ form }) => Object.keys(form.properties)));
  return Object.fromEntries(Object.entries(shape.form.properties).filter(([name]) => !known.has(name)));
}

interface Section {
  title: string;
  words: string;
  properties?: Properties;
  /** Kinds of which one is chosen by its `kind`, each with options of its own. */
  kinds?: Shape;
  /** Whose flags stand beside the options. */
  command?: Command;
}

/** The objects among alternatives, and those of alternatives. */
function objects(shape: Shape): ObjectShape[] {
  const one = resolved(shape);
  if (one.form.is === "either") return one.form.of.flatMap(objects);
  return one.form.is === "object" ? [one as ObjectShape] : [];
}

const { generator, outputs, textEncoder } = documentShape.form.properties;
const sections: Section[] = [
  { title: "Models", words: "`loadModel(source, options)`", properties: modelOptions.form.properties },
  {
    title: "Gradients of a model",
    words: "`differentiateModel(source, options)`",
    properties: differentiateModelOptions.form.properties,
  },
  {
    title: "What is joined",
    words: "`Tr0n.create(options)`, `generatePairs(options)`; a configuration file has these at its top.",
    properties: compositionOptions.form.properties,
    command: trainCommand,
  },
  {
    title: "A Tr0n",
    words: "`Tr0n.create(options)`, besides",
    properties: without(tr0nOptions, compositionOptions),
    command: trainCommand,
  },
  { title: "Loading", words: "`Tr0n.load(path, models)`", properties: loadModels.form.properties },
  {
    title: "The network",
    words: "`translator` of `Tr0n.create()` and of a configuration file",
    properties: translatorSettings.form.properties,
    command: trainCommand,
  },
  {
    title: "Augmentation",
    words: "`augmentation.policy(options)`, `augment` of a file",
    properties: augmentationOptions.form.properties,
    command: sampleCommand,
  },
  {
    title: "Training",
    words: "`train(options)`, `train` of a file",
    properties: trainOptions.form.properties,
    command: trainCommand,
  },
  {
    title: "Texts",
    words: "`textEncoder(options)`",
    properties: textEncoderOptions.form.properties,
  },
  {
    title: "Pairs",
    words: "`generatePairs(options)`, besides what is joined; `pairs` of a file",
    properties: without(pairsOptions, compositionOptions),
    command: pairsCommand,
  },
  {
    title: "Sampling",
    words: "`sample(condition, options)`, `sampleSteps()`; `sample` of a file",
    properties: stepsOptions.form.properties,
    command: sampleCommand,
  },
  {
    title: "Interpolation",
    words: "`interpolate(from, to, options)`, besides those of sampling",
    properties: without(interpolateOptions, stepsOptions),
  },
  ...Object.values(samplers).map(({ kind, is, options }) => ({
    title: `sampler.${kind}()`,
    words: `${is}\n\n\`sampler\` with the kind \`"${kind}"\` in a file, \`--sampler ${kind}\` on the command line`,
    properties: options.form.properties,
    command: sampleCommand,
  })),
  {
    title: "Groups of latent.product()",
    words: "`groups` of langevin and hybrid, by the generator's inputs",
    properties: groupUpdate.form.properties,
  },
  {
    title: "Evaluation",
    words: "`evaluate(tr0n, options)`, `evaluate` of a file",
    properties: evaluateOptions.form.properties,
    command: evaluateCommand,
  },
  {
    title: "Translator alone",
    words: "`new Translator(options)`",
    properties: translatorOptions.form.properties,
  },
  {
    title: "Trainer alone",
    words: "`new Trainer(translator, options)`",
    properties: trainerOptions.form.properties,
  },
  {
    title: "Latents",
    words:
      "`latent` of a configuration file, by `kind`; `latent.normal()` and its like in the library, `--latent` on the command line",
    kinds: either(...latents.inFile),
  },
  {
    title: "Energies",
    words:
      "`energy` of a configuration file, by `kind`; `energy.cosine()` and its like in the library, `--energy` on the command line",
    kinds: energyInFile,
  },
  {
    title: "Stages",
    words:
      "`preprocess` of a configuration file is a list of these, by `kind`; `stage.resize()` and its like in the library",
    kinds: stageInFile,
  },
  {
    title: "Condition noise",
    words:
      "`conditionNoise` of `translator`, by `kind`; a covariance is a tensor in the library, and a list of rows in a file",
    kinds: noiseInFile,
  },
  {
    title: "A configuration file",
    words: "[configuration.md](configuration.md) explains it.",
    properties: documentShape.form.properties,
  },
  {
    title: "A model in a file",
    words:
      "`generator`, `encoder`, `mapping` and `pairEncoder` of a configuration file: a path, or an object",
    properties: objects(generator.shape)[0]!.form.properties,
  },
  {
    title: "A text encoder in a file",
    words: "`textEncoder` of a configuration file",
    properties: objects(textEncoder.shape)[0]!.form.properties,
  },
  {
    title: "Files that commands write",
    words: "`outputs` of a configuration file",
    properties: objects(outputs.shape)[0]!.form.properties,
  },
];

function kindTable({ form: { properties } }: ObjectShape): string {
  const { kind, ...options } = properties;
  const { form } = kind!.shape;
  const title = `### \`"${form.is === "constant" ? String(form.value) : ""}"\`\n\n${kind!.is}`;
  return Object.keys(options).length === 0 ? title : `${title}\n\n${optionTable(options, new Set())}`;
}

/** The page. */
export async function optionsPage(): Promise<string> {
  const head =
    "# Options\n\nMade from the options' own descriptions in `lib/` by `npm run schema`. What is left out has its default. " +
    "The last column has the flag of the command that the table is about; `tr0n COMMAND --help` shows all of them.";
  const parts = sections.map(({ title, words, properties, kinds, command }) => {
    const flags = new Set(Object.keys(command?.options ?? {}));
    const tables = properties ? [optionTable(properties, flags)] : objects(kinds!).map(kindTable);
    return [`## ${title}`, words, ...tables].join("\n\n");
  });
  return format([head, ...parts].join("\n\n"), { parser: "markdown", printWidth: 110 });
}

export const optionsFile = new URL("../docs/options.md", import.meta.url);
if (process.argv[1] === new URL(import.meta.url).pathname) await writeFile(optionsFile, await optionsPage());
