import { shapeText } from "./check.js";
import { ArgumentError, describe } from "./errors.js";
import { softmaxRows, type DrawnRows } from "./exact.js";
import { dimsOf, lastOperator } from "./graphs.js";
import { callNative, runJob } from "./job.js";
import { nativePrior } from "./latent.js";
import { native, type NativeRowMap, type NativeSession } from "./native.js";
import type { Objective } from "./objective.js";
import { DataType, removeDead, type Graph } from "./onnx/index.js";
import { findPenultimate, type FeatureValue } from "./penultimate.js";
import { elementCount } from "./tensor.js";
import { openGraph } from "./weights.js";

/** Rows of one run of the models. */
const blockRows = 64;

/** Latents → class probabilities and penultimate features of their images, in one run of generator and encoder. */
export class FeatureSpace {
  private constructor(
    /** Name of the value in the encoder's graph. */
    readonly feature: string,
    /** Features a row. */
    readonly width: number,
    /** Classes of the encoder. */
    readonly classes: number,
    private readonly objective: Objective,
    private readonly probabilities: boolean,
    private readonly session: NativeSession,
    private readonly rows: NativeRowMap,
  ) {}

  /**
   * @param feature name of a value [batch, …] in the encoder's graph; default: the last linear layer's input
   * @throws ArgumentError when the encoder is no classifier or has no such value; ModelError when it has no linear layer
   */
  static async open(objective: Objective, feature?: string, signal?: AbortSignal): Promise<FeatureSpace> {
    if (objective.conditionKind !== "probabilities")
      throw new ArgumentError(
        "encoder: evaluation needs a classifier with energy.crossEntropy(), for its exact samples are those of a class; " +
          "this energy takes vectors as conditions",
      );
    const encoder = await objective.encoder.graph(signal);
    const value =
      feature === undefined
        ? findPenultimate(encoder, objective.encoderOutput, objective.encoder.name)
        : namedFeature(encoder, feature, objective.encoder.name);
    const graph = await objective.joined();
    const inJoined = joinedName(graph);
    const batch = graph.inputs[0]!.dims?.[0] ?? null;
    const scores = inJoined(objective.encoderOutput);
    const outputs = [
      { name: inJoined(value.name), elemType: DataType.FLOAT, dims: [batch, ...value.row] },
      { name: scores, elemType: DataType.FLOAT, dims: dimsOf(graph, scores) },
    ];
    graph.inputs = graph.inputs.slice(0, 1); // the condition is the energy's
    graph.outputs = outputs;
    removeDead(graph);
    const name = "generator → encoder's features";
    const session = await openGraph(graph, { threads: 1, name, what: "evaluate", signal });
    try {
      const rows = callNative(() =>
        native().createRowMap({
          session,
          input: graph.inputs[0]!.name,
          inputShape: objective.latentShape,
          outputs: outputs.map((output) => output.name),
          fixedBatch: typeof batch === "number" ? batch : 0,
          maxBatch: blockRows,
        }),
      );
      const probabilities = lastOperator(encoder, objective.encoderOutput) === "Softmax";
      const width = elementCount(value.row);
      return new FeatureSpace(
        value.name,
        width,
        objective.conditionSize,
        objective,
        probabilities,
        session,
        rows,
      );
    } catch (error) {
      session.dispose();
      throw error;
    }
  }

  /** Rows first … first + n − 1 of the prior's list of draws for this seed. */
  async draw(seed: number, first: number, n: number, signal?: AbortSignal): Promise<DrawnRows> {
    const prior = nativePrior(this.objective.latent);
    const drawn = await runJob("evaluate", signal, () =>
      this.rows.pairs(prior, referenceSeed(seed), first, n),
    );
    return { latents: drawn.z, ...this.mapped(drawn.outputs) };
  }

  /** Latents [n, d]. */
  async map(latents: Float32Array, n: number, signal?: AbortSignal): Promise<Omit<DrawnRows, "latents">> {
    return this.mapped(await runJob("evaluate", signal, () => this.rows.run(latents, n)));
  }

  dispose(): void {
    this.rows.dispose();
    this.session.dispose();
  }

  private mapped(outputs: { data: Float32Array }[]): Omit<DrawnRows, "latents"> {
    const [features, scores] = outputs as [{ data: Float32Array }, { data: Float32Array }];
    return {
      features: features.data,
      // Log-probabilities come through a softmax unchanged.
      probabilities: this.probabilities ? scores.data : softmaxRows(scores.data, this.classes),
    };
  }
}

/** Training pairs are draws of the same kind: another key keeps the reference apart from those of an equal seed. */
function referenceSeed(seed: number): bigint {
  return BigInt(seed) ^ 0x7265_6665_7265_6e63n;
}

/** @throws ArgumentError when the graph has no such value, or its row's size is open. */
function namedFeature(graph: Graph, name: string, model: string): FeatureValue {
  const made = graph.nodes.some((node) => node.outputs.includes(name));
  const dims = made ? dimsOf(graph, name) : null;
  const row = dims?.slice(1);
  if (!row?.every((dim): dim is number => typeof dim === "number"))
    throw new ArgumentError(
      `features: expected the name of a value [batch, …] of fixed size in ${model}, got ${describe(name)}, ` +
        (made ? `whose shape is ${dims ? shapeText(dims) : "unknown"}` : "which the graph does not make"),
    );
  return { name, row };
}

/** How a value of the encoder is called behind the generator: compose() gives way where a name is taken. */
function joinedName(graph: Graph): (name: string) => string {
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  return (name) => (made.has(`encoder/${name}`) ? `encoder/${name}` : name);
}
