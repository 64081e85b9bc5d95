/** Single calls, through benchmark.js: what a call of the library costs from JavaScript, the way there and back included. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type BenchmarkType from "benchmark";
import { median } from "../../lib/bench/statistics.js";
import { decodeSafetensors } from "../../lib/base/safetensors.js";
import { differentiate, loadModel, loadTokenizer, Translator } from "../../lib/index.js";
import type { Case, Row } from "../case.js";
import { sameResults, spread } from "../models.js";

// benchmark.js looks for its own dependencies with require().
const Benchmark = createRequire(import.meta.url)("benchmark") as typeof BenchmarkType;
const model = (name: string): string => fileURLToPath(new URL(`../../models/${name}`, import.meta.url));

/** Microseconds a call: the median of benchmark.js's samples. */
function microseconds(seconds: number, call: () => unknown): Promise<number> {
  return new Promise((resolve, reject) => {
    const run = (deferred: { resolve: () => void }): void => {
      Promise.resolve(call()).then(() => deferred.resolve(), reject);
    };
    new Benchmark("", {
      defer: true,
      maxTime: seconds,
      fn: run,
      onComplete: ({ target }: { target: BenchmarkType }) => resolve(1e6 * median([...target.stats.sample])),
      onError: ({ target }: { target: BenchmarkType & { error: Error } }) => reject(target.error),
    }).run({ async: true });
  });
}

/** The smallest part of onnxruntime-node that is used. */
interface OrtNode {
  Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
  InferenceSession: {
    create(
      path: string,
      options: object,
    ): Promise<{ run(feeds: object): Promise<Record<string, { data: Float32Array }>> }>;
  };
}

async function runs(seconds: number, threads: number): Promise<Row[]> {
  const ort = createRequire(import.meta.url)("onnxruntime-node") as OrtNode;
  const path = model("gan-generator.onnx");
  using generator = await loadModel(path, { threads });
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: threads });
  const [input, output] = [generator.inputs[0]!.name, generator.outputs[0]!.name];
  const dim = generator.inputs[0]!.shape![1]!;
  const rows: Row[] = [];
  for (const batch of [1, 64]) {
    const data = spread(batch * dim);
    const ours = () => generator.run({ [input]: { data, shape: [batch, dim] } });
    const theirs = () => session.run({ [input]: new ort.Tensor("float32", data, [batch, dim]) });
    sameResults(
      `gan-generator, batch ${batch}`,
      (await ours())[output]!.data,
      (await theirs())[output]!.data,
      1e-5,
    );
    rows.push({
      name: `gan-generator, run at batch ${batch}`,
      unit: "µs",
      ours: await microseconds(seconds, ours),
      peers: { "onnxruntime-node": await microseconds(seconds, theirs) },
    });
  }
  return rows;
}

const micro: Case = {
  name: "micro",
  summary: "single calls from JavaScript, by benchmark.js",
  async run({ seconds, limits }) {
    const rows = await runs(seconds, limits.threads);
    using translator = new Translator({ condition: 10, latent: 64, seed: 1 });
    const one = { data: spread(10), shape: [1, 10] };
    const weights = translator.toSafetensors();
    const classifier = readFileSync(model("classifier.onnx"));
    const tokenizer = await loadTokenizer(model("text-tokenizer.json"));
    const calls: Record<string, () => unknown> = {
      "translator of the demo, forward at batch 1": () => translator.forward(one),
      "translator of the demo, 64 draws": () => translator.sample(one, { count: 64, seed: 1 }),
      "translator of the demo, to .safetensors": () => translator.toSafetensors(),
      "translator of the demo, read .safetensors": () => decodeSafetensors(weights, "bench"),
      "differentiate(classifier.onnx)": () => differentiate(classifier),
      "tokenize a caption": () => tokenizer.encode(["a thick red seven on a blue background"]),
    };
    for (const [name, call] of Object.entries(calls))
      rows.push({ name, unit: "µs", ours: await microseconds(seconds, call) });
    return rows;
  },
};
export default micro;
