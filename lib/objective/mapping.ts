/** The mapping network of a latent, opened as a pipeline of its own. */
import { runJob } from "../native/job.js";
import { native } from "../native/binding.js";
import type { ModelPlace } from "../native/placement.js";
import type { NativeRowMap } from "../native/types/pipeline.js";
import type { Density } from "../latent/kinds/kind.js";
import type { Model } from "../model/interface.js";
import { loadedModel } from "../model/model.js";
import type { MaxBatch } from "../model/batch-size.js";
import { ReferenceRuns } from "../model/output-guard.js";
import { Pipeline } from "../model/pipeline.js";
import { knownElementCount, type Tensor } from "../base/tensor.js";
import { openGraph } from "../model/weights.js";

/** Draws of the base → w. What is opened goes into `opened`. */
export async function openMapping(
  mapping: Model,
  base: Density,
  dim: number,
  maxBatch: MaxBatch,
  place: ModelPlace,
  opened: { dispose(): void }[],
): Promise<NativeRowMap> {
  const model = loadedModel("mapping", mapping);
  const [input] = model.inputs;
  const [output] = model.outputs;
  const declared = input!.shape.slice(1);
  const known = knownElementCount(declared);
  const fixedBatch = input!.shape[0] ?? 0;
  const row = declared.map((size) => size ?? base.dim / known);
  const rows = async (n: number): Promise<Tensor> => {
    const count = n || 2;
    const data = await runJob("drawing latents", undefined, () =>
      native().drawPrior(base.native, 0n, 0, 0, count),
    );
    return { data, shape: [count, ...row] };
  };
  const pipeline = new Pipeline(fixedBatch || "batch", row, place.device);
  await pipeline.model(model, { output: output!.name, row: [dim], prefix: "mapping/", batch: fixedBatch });
  const keep = <T extends { dispose(): void }>(item: T): T => {
    opened.push(item);
    return item;
  };
  return keep(
    await pipeline.rowMap({
      name: `${model.name} (mapping)`,
      fixedBatch,
      maxBatch,
      probe: { rows, runs: new ReferenceRuns() },
      open: async (graph, name, device) =>
        keep(
          await openGraph(graph, {
            ...{
              threads: 1,
              name,
              what: "opening a session",
              fingerprint: true,
              measure: maxBatch === "auto",
            },
            place: { ...place, device },
          }),
        ),
    }),
  );
}
