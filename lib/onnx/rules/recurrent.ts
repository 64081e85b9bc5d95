/** Recurrent layers, spelled out in steps over time. */
import { float, floatList, int, string, stringList } from "../attributes.js";
import type { Builder } from "../builder.js";
import { DataType } from "../tensors.js";
import { overTime } from "./over-time.js";
import { define, expanded, type NodeContext, type Spelling } from "./rule.js";

type Activation = (b: Builder, x: string) => string;

/** What a layer does in a step, for one direction. */
interface Cell {
  /** Gates, and so blocks of rows in its weights. */
  readonly gates: number;
  /** Default activations. */
  readonly activations: readonly string[];
  /** States before the hidden one of which it is made: 1 for the cell of an LSTM. */
  readonly cells: number;
  /** The hidden state first. `x` is the input's share of all gates. */
  step(b: Builder, x: string, states: readonly string[], of: Direction): string[];
}

/** The weights of one direction, as products take them. */
interface Direction {
  /** [size, gates · size]. */
  readonly r: string;
  /** What is added to the products with `r`, and was not added to the input's: [gates · size]; "" for nothing. */
  readonly rBias: string;
  /** The weights of the cell within the gates, [size] each. */
  readonly peepholes: readonly string[];
  readonly activations: readonly Activation[];
  readonly size: number;
  readonly node: NodeContext["node"];
  /** Cuts off what comes into a gate. */
  clip(b: Builder, x: string): string;
}

const parts = (b: Builder, x: string, count: number, size: number): string[] =>
  count === 1 ? [x] : b.ops("Split", [x, b.ints(new Array<number>(count).fill(size))], count, { axis: -1 });
const sum = (b: Builder, ...terms: string[]): string =>
  terms.filter((t) => t !== "").reduce((p, q) => b.op("Add", [p, q]));
const product = (b: Builder, p: string, q: string): string => b.op("Mul", [p, q]);
const rest = (b: Builder, x: string): string => b.op("Sub", [b.scalar(1, x), x]);

const cells: Record<string, Cell> = {
  RNN: {
    gates: 1,
    activations: ["Tanh"],
    cells: 0,
    step: (b, x, [h], { r, activations: [f], clip }) => [f!(b, clip(b, sum(b, x, b.op("MatMul", [h!, r]))))],
  },
  // Gates z, r, h.
  GRU: {
    gates: 3,
    activations: ["Sigmoid", "Tanh"],
    cells: 0,
    step: (b, x, [h], { r, rBias, activations: [f, g], size, node, clip }) => {
      const [xz, xr, xh] = parts(b, x, 3, size) as [string, string, string];
      const gate = (p: string, q: string): string => f!(b, clip(b, sum(b, p, q)));
      const mix = (z: string, candidate: string): string =>
        sum(b, product(b, rest(b, z), candidate), product(b, z, h!));
      if (int(node, "linear_before_reset", 0) !== 0) {
        const [hz, hr, hh] = parts(b, sum(b, b.op("MatMul", [h!, r]), rBias), 3, size) as [
          string,
          string,
          string,
        ];
        const [z, reset] = [gate(xz, hz), gate(xr, hr)];
        return [mix(z, g!(b, clip(b, sum(b, xh, product(b, reset, hh)))))];
      }
      // The candidate has a product of its own.
      const [both, last] = b.ops("Split", [r, b.ints([2 * size, size])], 2, { axis: -1 }) as [string, string];
      const [hz, hr] = parts(b, b.op("MatMul", [h!, both]), 2, size) as [string, string];
      const [z, reset] = [gate(xz, hz), gate(xr, hr)];
      return [mix(z, g!(b, clip(b, sum(b, xh, b.op("MatMul", [product(b, reset, h!), last])))))];
    },
  },
  // Gates i, o, f, c.
  LSTM: {
    gates: 4,
    activations: ["Sigmoid", "Tanh", "Tanh"],
    cells: 1,
    step: (b, x, [h, c], { r, peepholes, activations: [f, g, last], size, node, clip }) => {
      const all = sum(b, x, b.op("MatMul", [h!, r]));
      const [xi, xo, xf, xc] = parts(b, all, 4, size) as [string, string, string, string];
      const [pi, po, pf] = peepholes;
      const gate = (value: string, peephole: string | undefined, cell: string): string =>
        f!(b, clip(b, peephole === undefined ? value : sum(b, value, product(b, peephole, cell))));
      const input = gate(xi, pi, c!);
      const forget = int(node, "input_forget", 0) !== 0 ? rest(b, input) : gate(xf, pf, c!);
      const cell = sum(b, product(b, forget, c!), product(b, input, g!(b, clip(b, xc))));
      return [product(b, gate(xo, po, cell), last!(b, cell)), cell];
    },
  },
};

/** Activations that take numbers, with what the runtime takes where the layer gives none. */
const defaults: Record<string, { alpha?: number; beta?: number }> = {
  affine: { alpha: 1, beta: 0 },
  elu: { alpha: 1 },
  hardsigmoid: { alpha: 0.2, beta: 0.5 },
  leakyrelu: { alpha: 0.01 },
  scaledtanh: { alpha: 1, beta: 1 },
  thresholdedrelu: { alpha: 1 },
};
const plain: Record<string, string> = {
  relu: "Relu",
  sigmoid: "Sigmoid",
  softplus: "Softplus",
  softsign: "Softsign",
  tanh: "Tanh",
};
const named: Record<string, string> = {
  elu: "Elu",
  hardsigmoid: "HardSigmoid",
  leakyrelu: "LeakyRelu",
  thresholdedrelu: "ThresholdedRelu",
};

/** The activations of all directions, one after the other; numbers are used up in this order. */
function activationsOf({ node, fail }: NodeContext, names: readonly string[]): Activation[] {
  const alphas = [...(floatList(node, "activation_alpha") ?? [])];
  const betas = [...(floatList(node, "activation_beta") ?? [])];
  return names.map((name): Activation => {
    const key = name.toLowerCase();
    const simple = plain[key];
    if (simple !== undefined) return (b, x) => b.op(simple, [x]);
    const numbers = defaults[key];
    if (!numbers) throw fail(`its activation ${JSON.stringify(name)} is not known`);
    const alpha = alphas.shift() ?? numbers.alpha!;
    const beta = numbers.beta === undefined ? undefined : (betas.shift() ?? numbers.beta);
    const scaled = (b: Builder, x: string, by: number): string => b.op("Mul", [x, b.scalar(by, x)]);
    if (key === "affine") return (b, x) => b.op("Add", [scaled(b, x, alpha), b.scalar(beta!, x)]);
    if (key === "scaledtanh") return (b, x) => scaled(b, b.op("Tanh", [scaled(b, x, beta!)]), alpha);
    return (b, x) => b.op(named[key]!, [x], { alpha, ...(beta === undefined ? {} : { beta }) });
  });
}

// Inputs: X [steps, batch, inputs], W [directions, gates · size, inputs], R [directions, gates · size, size], B [directions,
// 2 · gates · size], lengths [batch], states [directions, batch, size] and peepholes [directions, 3 · size].
const spelled =
  (cell: Cell): Spelling =>
  (c) => {
    const { b, x, node, fail } = c;
    if (int(node, "layout", 0) !== 0) throw fail("its batch comes first, which the runtime does not take");
    const size = b.shapes.dims(x[2]!)?.[2];
    if (typeof size !== "number") throw fail("the size of its state is known only at run time");
    const direction = string(node, "direction", "forward");
    const backs = direction === "bidirectional" ? [false, true] : [direction === "reverse"];
    const names = stringList(node, "activations") ?? backs.flatMap(() => cell.activations);
    const activations = activationsOf(c, names);
    const limit = float(node, "clip", 0);
    const lengths = x[4] || null;
    const [hidden, cellState, peepholes] = [
      x[5],
      cell.cells ? x[6] : undefined,
      cell.cells ? x[7] : undefined,
    ];
    const zeros = (): string =>
      b.op("Expand", [
        b.scalar(0, x[0]!),
        b.op("Concat", [b.sizes(x[0]!, [1]), b.ints([size])], { axis: 0 }),
      ]);
    const made = backs.map((back, at) => {
      const one = (value: string): string => b.op("Gather", [value, b.int(at)], { axis: 0 });
      const turned = (value: string): string => b.op("Transpose", [one(value)], { perm: [1, 0] });
      const [wBias, rBias] = x[3] ? parts(b, one(x[3]), 2, cell.gates * size) : ["", ""];
      // The bias of a product that a gate multiplies stays with it.
      const apart = int(node, "linear_before_reset", 0) !== 0;
      const inputs = sum(b, b.op("MatMul", [x[0]!, turned(x[1]!)]), wBias!, apart ? "" : rBias!);
      const count = cell.activations.length;
      const of: Direction = {
        r: turned(x[2]!),
        rBias: apart ? rBias! : "",
        peepholes: peepholes ? parts(b, one(peepholes), 3, size) : [],
        activations: activations.slice(at * count, (at + 1) * count),
        size,
        node,
        clip: (inner, value) =>
          limit > 0
            ? inner.op("Clip", [value, inner.scalar(-limit, value), inner.scalar(limit, value)])
            : value,
      };
      const states = [hidden, ...(cell.cells ? [cellState] : [])].map((value) =>
        value ? one(value) : zeros(),
      );
      return overTime(b, {
        states,
        inputs: [inputs, ...(lengths ? [running(c, lengths)] : [])],
        around: [of.r, of.rBias, ...of.peepholes].filter((name) => name !== ""),
        back,
        step: (inner, before, [part, runs]) => {
          const after = cell.step(inner, part!, before, of);
          if (runs === undefined) return { states: after, results: [after[0]!] };
          // Behind a row's end its states stay, and its output is zero.
          const kept = after.map((value, i) => inner.op("Where", [runs, value, before[i]!]));
          return {
            states: kept,
            results: [inner.op("Where", [runs, after[0]!, inner.scalar(0, after[0]!)])],
          };
        },
      });
    });
    const stacked = (values: readonly string[], axis: number): string =>
      values.length === 1
        ? b.unsqueeze(values[0]!, [axis])
        : b.op(
            "Concat",
            values.map((value) => b.unsqueeze(value, [axis])),
            { axis },
          );
    return [
      stacked(
        made.map(({ results }) => results[0]!),
        1,
      ),
      ...Array.from({ length: 1 + cell.cells }, (_, i) =>
        stacked(
          made.map(({ states }) => states[i]!),
          0,
        ),
      ),
    ];
  };

/** Whether a step lies before a row's end: [steps, batch, 1]. */
function running({ b, x }: NodeContext, lengths: string): string {
  const steps = b.op("Range", [b.int(0), b.op("Squeeze", [b.sizes(x[0]!, [0])]), b.int(1)]);
  const ends = b.reshape(b.op("Cast", [lengths], { to: DataType.INT64 }), [1, -1, 1]);
  return b.op("Less", [b.reshape(steps, [-1, 1, 1]), ends]);
}

export const recurrent: ReadonlySet<string> = new Set(Object.keys(cells));

for (const [opType, cell] of Object.entries(cells)) define(opType, expanded(spelled(cell)));
