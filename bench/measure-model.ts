/** A process of the case `differentiate`: PATH BATCH SECONDS THREADS → one JSON object, {@link Measured}. */
import { differentiateSimplified } from "../lib/model/differentiate.js";
import { modelSource, readGraphInPlace } from "../lib/model/source.js";
import { openGraph } from "../lib/model/weights.js";
import { runJob } from "../lib/native/job.js";
import type { Graph } from "../lib/onnx/index.js";
import { medianTime, spread } from "./models.js";

export interface Measured {
  /** Milliseconds to simplify and differentiate, once the model is decoded. */
  readonly differentiate: number;
  /** Milliseconds. */
  readonly step: number;
  readonly forward: number;
  /** MiB, before the forward passes alone. */
  readonly peak: number;
}

const [path, ...numbers] = process.argv.slice(2) as [string, ...string[]];
const [batch, seconds, threads] = numbers.map(Number) as [number, number, number];

/** In the sessions that Model.vjp and samplers open; inputs are the same every time. */
async function milliseconds(graph: Graph): Promise<number> {
  const session = await openGraph(graph, { name: path, threads, what: "bench" });
  const feeds = Object.fromEntries(
    graph.inputs.map((input) => {
      const shape = input.dims!.map((dim) => (typeof dim === "number" ? dim : batch));
      return [input.name, { data: spread(shape.reduce((p, q) => p * q, 1)), shape }];
    }),
  );
  try {
    return await medianTime(seconds, 3, () => runJob("run", undefined, () => session.run(feeds)));
  } finally {
    session.dispose();
  }
}

const read = (): Promise<Graph> => readGraphInPlace(modelSource(path), {});
const graph = await read();
const start = performance.now();
const options = { seed: "ones", keepOutputs: false } as const;
const gradient = await differentiateSimplified(graph, options, { name: path, simplify: true });
const differentiate = performance.now() - start;
const step = await milliseconds(gradient.graph);
const peak = process.resourceUsage().maxRSS / 1024;
const measured: Measured = { differentiate, step, forward: await milliseconds(await read()), peak };
process.stdout.write(JSON.stringify(measured));
