/** What is done to a model's graph wherever it is read from its file: plain data, applied in one order. */
import { createHash } from "node:crypto";
import {
  batchFirstGraph,
  doublesInFloat32,
  fixInputs,
  floatEdges,
  halvesInFloat32,
  keepOutputs,
  openBatchGraph,
  sizedGraph,
  soundDeclarations,
  toRunSteps,
  weightSizedGraph,
  type BatchAxes,
  type FixedValue,
  type Graph,
  type InputShapes,
  type Steps,
} from "../onnx/index.js";
import { inSlices } from "./slices.js";

/** Nothing in it: the model is as its file has it. */
export interface Adaptation {
  /** It has operators of the runtime's own that the runtime has no kernel for: others stand for them. */
  readonly standard?: true;
  /** The file declares values wrongly: what runs counts. */
  readonly declarations?: true;
  /** The outputs that are used. */
  readonly outputs?: readonly string[];
  /** Sizes of axes that the file leaves open. */
  readonly inputShapes?: InputShapes;
  /** Sizes that it leaves open and its weights tell. */
  readonly weightSizes?: true;
  /** Real inputs and outputs of other types are float32. */
  readonly edges?: true;
  /** What is of half precision is computed in float32. */
  readonly halves?: true;
  /** The same of float64. */
  readonly doubles?: true;
  /** Inputs that are constants. */
  readonly inputs?: Readonly<Record<string, FixedValue>>;
  /** Where the batch lies that is moved to the front. */
  readonly batchFirst?: BatchAxes;
  /** Rows that it is for, whose number becomes open. Whoever asks for it compares rows with the original's. */
  readonly openBatch?: number;
}

interface Pass<T> {
  /** Whether the model is another function then, which its fingerprint tells. */
  readonly changesFunction: boolean;
  /** What a second one makes of a first; default: it replaces it. */
  readonly join?: (before: T, more: T) => T;
  /** Weights that lie in files stay there; inputs and outputs keep their names. `name` is the model's, for messages. */
  readonly apply: (graph: Graph, option: T, name: string) => Graph | Steps<Graph>;
}

type Passes = { readonly [K in keyof Adaptation]-?: Pass<NonNullable<Adaptation[K]>> };

/** In the order in which they are applied. */
const passes: Passes = {
  standard: { changesFunction: false, apply: (graph) => toRunSteps(graph) },
  declarations: { changesFunction: false, apply: soundDeclarations },
  inputShapes: {
    changesFunction: false,
    join: (before, more) => ({ ...before, ...more }),
    apply: sizedGraph,
  },
  weightSizes: { changesFunction: false, apply: weightSizedGraph },
  edges: { changesFunction: false, apply: floatEdges },
  halves: { changesFunction: false, apply: halvesInFloat32 },
  doubles: { changesFunction: false, apply: doublesInFloat32 },
  inputs: {
    changesFunction: true,
    join: (before, more) => ({ ...before, ...more }),
    apply: fixInputs,
  },
  // After all that: an input that is fixed may be one that nobody needs.
  outputs: { changesFunction: true, apply: keepOutputs },
  batchFirst: { changesFunction: false, apply: batchFirstGraph },
  openBatch: { changesFunction: false, apply: openBatchGraph },
};

const order = Object.keys(passes) as (keyof Adaptation)[];

export function isEmpty(adaptation: Adaptation): boolean {
  return order.every((key) => adaptation[key] === undefined);
}

export function joinAdaptations(before: Adaptation, more: Adaptation): Adaptation {
  const joined: Record<string, unknown> = {};
  for (const key of order) {
    const { join } = passes[key] as Pass<unknown>;
    const [first, second] = [before[key], more[key]];
    if (first === undefined && second === undefined) continue;
    joined[key] =
      first !== undefined && second !== undefined && join ? join(first, second) : (second ?? first);
  }
  return joined;
}

/** What of it makes another function of the model, as a text that is the same for the same; null where nothing does. */
export function functionChange(adaptation: Adaptation): string | null {
  const changing = order.filter((key) => adaptation[key] !== undefined && passes[key].changesFunction);
  if (changing.length === 0) return null;
  return JSON.stringify(
    changing.map((key) => [key, adaptation[key]]),
    (_, value: unknown) => {
      if (ArrayBuffer.isView(value))
        return createHash("sha256")
          .update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
          .digest("hex");
      if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).sort(([p], [q]) => (p < q ? -1 : 1)));
    },
  );
}

/** @throws ArgumentError where it does not fit the model, AbortError */
export async function adaptGraph(
  graph: Graph,
  adaptation: Adaptation,
  name: string,
  signal?: AbortSignal,
): Promise<Graph> {
  let adapted = graph;
  for (const key of order) {
    const option = adaptation[key];
    if (option === undefined) continue;
    const made = (passes[key] as Pass<unknown>).apply(adapted, option, name);
    adapted = Symbol.iterator in made ? await inSlices("adapting a model", made, signal) : made;
  }
  return adapted;
}
