/** The passes over graphs that another thread can do, and what the two threads say to each other. */
import {
  composeSteps,
  differentiateSteps,
  toRunSteps,
  type Graph,
  type Parcel,
  type Steps,
} from "../onnx/index.js";
import type { ErrorMessage } from "./error-message.js";

/** Each takes graphs, then what can be copied, and makes a graph. */
const passes = {
  compose: composeSteps,
  differentiate: differentiateSteps,
  toRun: toRunSteps,
};

export type PassName = keyof typeof passes;

type Rest<P> = P extends (...args: infer A) => unknown ? NotGraphs<A> : never;
type NotGraphs<A> = A extends [Graph, ...infer R] ? NotGraphs<R> : A;
/** What a pass takes behind its graphs. */
export type PassOptions<P extends PassName> = Rest<(typeof passes)[P]>;

export function passSteps(
  pass: PassName,
  graphs: readonly Graph[],
  options: readonly unknown[],
): Steps<Graph> {
  return (passes[pass] as (...args: unknown[]) => Steps<Graph>)(...graphs, ...options);
}

/** The first word of a worker, by which its starter knows that it is one and speaks the same language. */
export const greeting = "tr0n graph worker 1";

export interface Job {
  readonly id: number;
  readonly pass: PassName;
  readonly parcels: readonly Parcel[];
  readonly options: readonly unknown[];
  /** Begins the notes of weights that stayed behind. */
  readonly mark: string;
  /** An Int32 that is not 0 once nobody wants the answer. */
  readonly stop: SharedArrayBuffer;
}

export type Answer = { readonly id: number } & (
  { readonly parcel: Parcel } | { readonly error: ErrorMessage }
);
