import { ArgumentError } from "../base/errors.js";
import type { DrawnRows } from "./exact.js";
import { columnsGraph } from "../objective/condition-graph.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import type { NativeRowMap } from "../native/types/pipeline.js";
import type { NativeSession } from "../native/types/models.js";
import { appendFeatures } from "../model/features.js";
import type { Objective } from "../objective/objective.js";
import type { PipelineOptions } from "../model/pipeline-links.js";
import { openGraph } from "../model/weights.js";

/** Rows of one run of the models. */
const blockRows = 64;

/** Latents → class probabilities and penultimate features of their images, in one run of generator and encoder. */
export class FeatureSpace {
  private constructor(
    /** What the features are called: a value in the encoder's graph, or an output. */
    readonly feature: string,
    /** Features a row. */
    readonly width: number,
    /** Classes of the encoder. */
    readonly classes: number,
    private readonly objective: Objective,
    private readonly rows: NativeRowMap,
    private readonly owned: readonly { dispose(): void }[],
  ) {}

  /**
   * @param feature name of a value [batch, …] in an ONNX encoder's graph, or of an output of TorchScript; default: the last
   *   linear layer's input
   * @throws ArgumentError when the encoder is no classifier or has no such value; ModelError when it has no linear layer
   */
  static async open(objective: Objective, feature?: string, signal?: AbortSignal): Promise<FeatureSpace> {
    if (objective.conditionKind !== "probabilities")
      throw new ArgumentError(
        "encoder: evaluation needs a classifier with energy.crossEntropy(), for its exact samples are those of a class; " +
          "this energy takes vectors as conditions. Where the encoder is one and was taken for an embedding, " +
          'encoderKind: "logits" or "probabilities" says so',
      );
    const owned: { dispose(): void }[] = [];
    const open: PipelineOptions["open"] = async (graph, name, device): Promise<NativeSession> => {
      const session = await openGraph(graph, {
        threads: 1,
        name,
        what: "evaluate",
        signal,
        fingerprint: true,
        place: { ...objective.place, device },
      });
      owned.unshift(session);
      return session;
    };
    try {
      const pipeline = await objective.staged(signal);
      const { feature: name, model } = await appendFeatures(pipeline, objective.encoder, {
        output: objective.encoderOutput,
        size: objective.conditionSize,
        batch: objective.encoderBatch,
        columns: columnsGraph,
        ...{ feature, signal },
      });
      if (model) owned.unshift(model);
      const rows = await pipeline.rowMap({
        name: "generator → encoder's features",
        fixedBatch: objective.fixedBatch,
        maxBatch: blockRows,
        open,
        probe: objective.latentProbe,
      });
      owned.unshift(rows);
      const width = Number(pipeline.dims[1]) - objective.conditionSize;
      return new FeatureSpace(name, width, objective.conditionSize, objective, rows, owned);
    } catch (error) {
      for (const item of owned) item.dispose();
      throw error;
    }
  }

  /** Rows first … first + n − 1 of the prior's list of draws for this seed. */
  async draw(seed: number, first: number, n: number, signal?: AbortSignal): Promise<DrawnRows> {
    const drawn = await this.objective.source.pairs(this.rows, referenceSeed(seed), first, n, { signal });
    return { latents: drawn.z, ...(await this.mapped(drawn.outputs, n, signal)) };
  }

  /** Latents [n, d], which nobody writes to. */
  async map(latents: Float32Array, n: number, signal?: AbortSignal): Promise<Omit<DrawnRows, "latents">> {
    const outputs = await runJob("evaluate", signal, () => this.rows.run({ owned: latents }, n));
    return this.mapped(outputs, n, signal);
  }

  dispose(): void {
    for (const item of this.owned) item.dispose();
  }

  private async mapped(
    [columns]: { data: Float32Array }[],
    n: number,
    signal?: AbortSignal,
  ): Promise<Omit<DrawnRows, "latents">> {
    const { width, classes } = this;
    const { part, rest } = await runJob("evaluate", signal, () =>
      native().splitColumns({ owned: columns!.data }, n, width + classes, 0, width),
    );
    const kind = this.objective.encoderKind === "probabilities" ? "probabilities" : "logits";
    return { features: part, scores: rest, kind };
  }
}

/** Training pairs are draws of the same kind: another key keeps the reference apart from those of an equal seed. */
function referenceSeed(seed: number): bigint {
  return BigInt(seed) ^ 0x7265_6665_7265_6e63n;
}
