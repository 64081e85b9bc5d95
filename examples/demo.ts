/**
 * `npm run demo` (with `--text`: text-demo.ts): teaches a frozen generator of coloured digits to obey a classifier, shows the samples beside those of
 * other ways, and measures all of them against exact ones. Writes classes.png and report.json.
 */
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../lib/base/atomic-write.js";
import { Progress } from "../lib/cli/progress.js";
import { evaluate } from "../lib/evaluate/evaluate.js";
import { formatEvaluation } from "../lib/evaluate/report.js";
import type { Recipe } from "../lib/evaluate/options.js";
import { encodePng } from "../lib/base/image.js";
import {
  Tr0n,
  energy,
  loadModel,
  sampler,
  type Device,
  tensor,
  type Model,
  type Tensor,
  type TrainOptions,
} from "../lib/index.js";
import { recipes } from "../lib/evaluate/recipes.js";
import { defaultPrompts } from "./prompts.js";
import { sheet, type Group } from "./sheet.js";
import { textDemo } from "./text-demo.js";

const usage = `Usage: npm run demo -- [options]

  --text "a thick red seven on a blue background"
                        obey this sentence instead of the ten classes; without a sentence,
                        sixteen of them
  --generator gan|vae   the frozen generator (default gan)
  --format onnx|torchscript
                        the files of both models (default onnx); the picture is the same
  --out DIR             where to write (default out/demo, with --text out/demo-text)
  --seed N              decides everything random (default 1)
  --device D            cpu, cuda, cuda:N, webgpu or auto (default auto)
  --quick               few pairs and images and no measurement: shows that it works
  --json                print the report as JSON and nothing else
  --help                show this help`;

/** Samples a class for the table: enough to tell the ways apart in a few minutes. */
const sizes = { samples: 150, reference: 400 };

// The value of --text may be missing, which parseArgs does not know.
const args = process.argv.slice(2).flatMap((word, i, all) => {
  if (word === "--text") return all[i + 1]?.startsWith("--") === false ? [] : ["--text="];
  return all[i - 1] === "--text" && !word.startsWith("--") ? [`--text=${word}`] : [word];
});
const { values } = parseArgs({
  args,
  options: {
    text: { type: "string" },
    generator: { type: "string", default: "gan" },
    format: { type: "string", default: "onnx" },
    out: { type: "string" },
    seed: { type: "string", default: "1" },
    device: { type: "string", default: "auto" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
/** Images a class in each group of the picture. */
const shown = values.quick ? 1 : 6;
/** For each training. */
const pairs = values.quick ? 200 : 20_000;
const names: Record<string, string> = { gan: "gan-generator", vae: "vae-decoder" };
const extensions: Record<string, string> = { onnx: "onnx", torchscript: "pt" };

const stop = new AbortController();
process.once("SIGINT", () => stop.abort(new Error("interrupted")));

async function demo(progress: Progress): Promise<void> {
  const started = performance.now();
  const seed = Number(values.seed);
  const device = values.device as Device;
  const out = values.out ?? join("out", values.text === undefined ? "demo" : "demo-text");
  const say = (text: string): void => {
    progress.stop();
    if (!values.json)
      console.log(`[${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`);
  };
  await mkdir(out, { recursive: true });
  const file = (name: string): string => fileURLToPath(new URL(`../models/${name}`, import.meta.url));
  const extension = extensions[values.format]!;
  if (values.text !== undefined) {
    const prompts = values.text === "" ? defaultPrompts : [values.text];
    const generator = names[values.generator]!;
    const { signal } = stop;
    await textDemo({
      prompts,
      generator,
      extension,
      out,
      seed,
      device,
      json: values.json,
      file,
      say,
      progress,
      signal,
    });
    return;
  }
  const files = { generator: `${names[values.generator]!}.${extension}`, encoder: `classifier.${extension}` };
  const generator = await loadModel(file(files.generator));
  const encoder = await loadModel(file(files.encoder));
  say(`Two frozen models: ${files.generator} draws digits at random, ${files.encoder} reads them.`);

  // The prior term is the samplers' own default; written out, plain Langevin steps have it too.
  const ours = await Tr0n.create({
    generator,
    encoder,
    energy: energy.sum(energy.crossEntropy(), energy.prior()),
    seed,
    device,
  });
  say(`Models on ${ours.modelDevice}, translator and samplers on ${ours.device}.`);
  // It decides as the first, which has told it.
  const official = await Tr0n.create({
    generator,
    encoder,
    energy: energy.crossEntropy(),
    seed,
    device,
    onDecision: () => undefined,
  });
  const train = async (tr0n: Tr0n, label: string, options: TrainOptions): Promise<void> => {
    const report = await tr0n.train({
      ...options,
      pairs,
      signal: stop.signal,
      onProgress: (p) => progress.update(`${label}, ${p.phase}`, p.done, p.total),
    });
    const side = report.gap < 0 ? "below" : "above";
    say(
      `${label}: ${report.pairs} pairs, ${report.epochs} epochs, ${report.seconds.toFixed(1)} s; ` +
        `−log q is ${Math.abs(report.gap).toFixed(2)} nats ${side} the prior's entropy`,
    );
  };
  await train(ours, "Translator", {});
  await train(official, "Translator with the paper's settings", { preset: "official" });

  const digits = Array.from({ length: values.quick ? 2 : ours.conditionSize }, (_, c) => c);
  const group = async (title: string, { sampler }: Recipe): Promise<Group> => {
    const parts: Tensor[] = [];
    for (const c of digits) {
      const options = { count: shown, seed: 1000 * seed + c, sampler, signal: stop.signal };
      parts.push((await ours.sample({ class: c }, options)).images);
    }
    const data = parts.flatMap((part) => [...part.data]);
    return { title, images: tensor(data, [parts.length * shown, ...ours.imageShape]) };
  };
  const picture = sheet(
    [
      await group("Prior: what G draws by itself", recipes.prior),
      await group("Translator only", recipes.translator),
      await group("After sampling (the default)", recipes.resample),
      await group("Naive: prior + the same steps", recipes.naive),
    ],
    digits.map(String),
  );
  const png = join(out, "classes.png");
  await writeFileAtomic(png, await encodePng(picture), { signal: stop.signal });
  say(`${png} is there: a row for each digit that was asked for.${values.quick ? "" : " Now measuring."}`);

  const measured = values.quick
    ? null
    : await evaluate(ours, {
        ...sizes,
        seed,
        recipes: [
          recipes.prior,
          recipes.translator,
          recipes.naive,
          recipes.resample,
          recipes["fidelity-10"],
          recipes.langevin,
          { name: "the paper's settings", tr0n: official, sampler: sampler.langevin() },
        ],
        signal: stop.signal,
        onProgress: ({ phase, done, total }) => progress.update(phase, done, total),
      });
  const json = {
    ...files,
    threads: availableParallelism(),
    seconds: (performance.now() - started) / 1000,
    training: ours.report,
    officialTraining: official.report,
    device: ours.device,
    modelDevice: ours.modelDevice,
    ...measured,
  };
  const path = join(out, "report.json");
  await writeFileAtomic(path, `${JSON.stringify(json, null, 2)}\n`, { signal: stop.signal });
  if (measured) say("Measured.");
  if (values.json) console.log(JSON.stringify(json, null, 2));
  else
    console.log(`\n${measured ? `${formatEvaluation(measured)}\n\n` : ""}Picture: ${png}\nReport:  ${path}`);
  for (const item of [ours, official, generator, encoder] satisfies (Tr0n | Model)[]) item.dispose();
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  if (!names[values.generator] || !extensions[values.format] || !/^\d{1,15}$/.test(values.seed)) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const progress = await Progress.create(process.stderr.isTTY === true && !values.json);
  try {
    await demo(progress);
  } catch (error) {
    progress.stop();
    console.error(stop.signal.aborted ? "Stopped." : `demo: ${(error as Error).message}`);
    if (process.env["TR0N_DEBUG"]) console.error(error);
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
}

void main();
