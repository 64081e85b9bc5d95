/** A step that is repeated along the first axis of some values: unrolled where the steps are few, else a Scan. */
import { encodeBody, withoutIdentities } from "../body.js";
import { Builder } from "../builder.js";
import { emptyGraph } from "../graph.js";
import { scan } from "./scan.js";

/**
 * Steps that are unrolled. Of an LSTM with 32 steps that are 1,400 nodes, which the runtime takes 0.3 s to open; a vjp then
 * takes 0.9 of a Scan's time with 32 units, and a third of it with 256, for the adjoint of a Scan computes each step again.
 */
const mostSteps = 32;

interface OverTime {
  /** Values before the first step. */
  readonly states: readonly string[];
  /** [steps, …]; a step sees one element of each. */
  readonly inputs: readonly string[];
  /** What else a step reads. */
  readonly around: readonly string[];
  /** Whether the last element comes first. */
  readonly back: boolean;
  /** Emits a step; results are elements of the values that are returned. */
  step(
    b: Builder,
    states: readonly string[],
    parts: readonly string[],
  ): { states: string[]; results: string[] };
}

/** The states after the last step, and what the steps gave, each at the place of its element. */
export function overTime(b: Builder, of: OverTime): { states: string[]; results: string[] } {
  const length = b.shapes.dims(of.inputs[0]!)?.[0];
  return typeof length === "number" && length > 0 && length <= mostSteps
    ? inTurn(b, of, length)
    : scanned(b, of);
}

function inTurn(b: Builder, of: OverTime, length: number): { states: string[]; results: string[] } {
  let states = [...of.states];
  const elements: string[][] = [];
  for (let i = 0; i < length; i++) {
    const at = of.back ? length - 1 - i : i;
    const parts = of.inputs.map((value) => b.op("Gather", [value, b.int(at)], { axis: 0 }));
    const made = of.step(b, states, parts);
    states = made.states;
    elements[at] = made.results.map((value) => b.unsqueeze(value, [0]));
  }
  const results = elements[0]!.map((_, i) =>
    b.op(
      "Concat",
      elements.map((values) => values[i]!),
      { axis: 0 },
    ),
  );
  return { states, results };
}

function scanned(b: Builder, of: OverTime): { states: string[]; results: string[] } {
  const graph = { ...emptyGraph("step"), irVersion: b.graph.irVersion, opsets: new Map(b.graph.opsets) };
  for (const name of of.around) {
    const constant = b.graph.initializers.get(name);
    if (constant) graph.initializers.set(name, constant);
    else graph.inputs.push(b.shapes.valueInfo(name));
  }
  const inner = new Builder(graph, `${b.names.fresh("over time")}/`);
  const own = (value: string, element: boolean): string => {
    const { elemType, dims } = b.shapes.valueInfo(value);
    return inner.input(b.names.fresh(`${value}/step`), elemType, element ? (dims?.slice(1) ?? null) : dims);
  };
  const states = of.states.map((value) => own(value, false));
  const parts = of.inputs.map((value) => own(value, true));
  const made = of.step(inner, states, parts);
  [...made.states, ...made.results].forEach((value) => inner.output(b.names.fresh("step/out"), value));
  // Sizes that hold for the whole graph would have to hold by name in the body, too.
  for (const value of [...graph.inputs, ...graph.outputs]) value.dims = null;
  withoutIdentities(graph);
  const given = new Map(graph.inputs.map((value) => [value.name, value]));
  const body = encodeBody(
    graph,
    b.graph,
    [...states, ...parts].map((name) => given.get(name)!),
  );
  const outputs = scan(b, body, {
    states: of.states,
    scanned: of.inputs.map((value) => ({ value, axis: 0, back: of.back ? 1 : 0 })),
    made: made.results.map(() => ({ axis: 0, back: of.back ? 1 : 0 })),
  });
  return { states: outputs.slice(0, states.length), results: outputs.slice(states.length) };
}
