import { ArgumentError } from "../base/errors.js";
import { normalisedRows, softmaxRows, type DrawnRows } from "./exact.js";
import { columnsGraph } from "../objective/condition-graph.js";
import { runJob } from "../native/job.js";
import type { NativeRowMap } from "../native/types/pipeline.js";
import type { NativeSession } from "../native/types/models.js";
import { appendFeatures } from "../model/features.js";
import type { Objective } from "../objective/objective.js";
import type { Graph } from "../onnx/index.js";
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
    const open = async (graph: Graph, name: string): Promise<NativeSession> => {
      const session = await openGraph(graph, {
        threads: 1,
        name,
        what: "evaluate",
        signal,
        fingerprint: true,
      });
      owned.unshift(session);
      return session;
    };
    try {
      const pipeline = await objective.staged(signal);
      const { feature: name, model } = await appendFeatures(pipeline, objective.encoder, {
        output: objective.encoderOutput,
        size: objective.conditionSize,
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
    const drawn = await this.objective.source.pairs(this.rows, referenceSeed(seed), first, n, signal);
    return { latents: drawn.z, ...this.mapped(drawn.outputs) };
  }

  /** Latents [n, d]. */
  async map(latents: Float32Array, n: number, signal?: AbortSignal): Promise<Omit<DrawnRows, "latents">> {
    return this.mapped(await runJob("evaluate", signal, () => this.rows.run(latents, n)));
  }

  dispose(): void {
    for (const item of this.owned) item.dispose();
  }

  private mapped([columns]: { data: Float32Array }[]): Omit<DrawnRows, "latents"> {
    const { width, classes } = this;
    const { data } = columns!;
    const n = data.length / (width + classes);
    const features = new Float32Array(n * width);
    const scores = new Float32Array(n * classes);
    for (let i = 0, at = 0; i < n; i++, at += width + classes) {
      features.set(data.subarray(at, at + width), i * width);
      scores.set(data.subarray(at + width, at + width + classes), i * classes);
    }
    // Log-probabilities come through a softmax unchanged.
    const probabilities = this.objective.encoderKind === "probabilities" ? normalisedRows : softmaxRows;
    return { features, probabilities: probabilities(scores, classes) };
  }
}

/** Training pairs are draws of the same kind: another key keeps the reference apart from those of an equal seed. */
function referenceSeed(seed: number): bigint {
  return BigInt(seed) ^ 0x7265_6665_7265_6e63n;
}
