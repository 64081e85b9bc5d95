/**
 * Between which numbers a value lies, as far as the operators that make it tell: tanh lies in [-1, 1], 127.5 · tanh + 127.5 in
 * [0, 255]. Only operators whose results have bounds and those that keep, move or map them are followed.
 */
import type { TensorProto } from "onnx-buf";
import type { Graph, Node } from "./graph.js";
import { readNumbers, tensorDims } from "./tensors.js";

export interface Bounds {
  /** May be -Infinity. */
  readonly low: number;
  /** May be Infinity. */
  readonly high: number;
  /** Bounds that are finite are the operators' own; false where they may be wider than what the operators can give. */
  readonly tight: boolean;
  /** The operators that set them, in words: "Tanh", "Sigmoid and a scale". */
  readonly by: string;
}

/** Operators with bounds of their own, whatever goes in. */
const own: Readonly<Record<string, readonly [number, number]>> = {
  Tanh: [-1, 1],
  Softsign: [-1, 1],
  Erf: [-1, 1],
  Sin: [-1, 1],
  Cos: [-1, 1],
  Sigmoid: [0, 1],
  HardSigmoid: [0, 1],
  Softmax: [0, 1],
};

/** Operators whose results are numbers of their first input, or means of such. */
const keeping = new Set([
  ...["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Split"],
  ...["DepthToSpace", "SpaceToDepth", "Tile", "Expand", "Cast", "Dropout", "Upsample"],
  ...["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "ReduceMean"],
]);

/** Operators that compute a number from each number, or two of them, by a formula below. */
const arithmetic = new Set(["Add", "Sub", "Mul", "Div"]);

/** Longest way back that is followed. */
const maxDepth = 64;
/** Constants of more numbers are weights, not bounds or scales. */
const maxConstant = 2 ** 16;

/** The bounds of a value; null where none is known on either side. */
export function valueBounds(graph: Graph, name: string): Bounds | null {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) makers.set(output, node);
  const found = new Map<string, Bounds | null>();
  const walk = (value: string, depth: number): Bounds | null => {
    const known = found.get(value);
    if (known !== undefined) return known;
    const bounds = depth > maxDepth ? null : boundsOf(value, (input) => walk(input, depth + 1));
    const result = bounds && (bounds.low > -Infinity || bounds.high < Infinity) ? bounds : null;
    found.set(value, result);
    return result;
  };
  const constant = (value: string): readonly [number, number] | null => constantBounds(graph, makers, value);

  const boundsOf = (value: string, of: (input: string) => Bounds | null): Bounds | null => {
    const fixed = constant(value);
    if (fixed) return { low: fixed[0], high: fixed[1], tight: true, by: "a constant" };
    const node = makers.get(value);
    if (node?.domain !== "") return null;
    const { opType, inputs } = node;
    const input = (index: number): Bounds | null => (inputs[index] ? of(inputs[index]) : null);
    if (Object.hasOwn(own, opType)) {
      const [low, high] = own[opType]!;
      return { low, high, tight: true, by: opType };
    }
    if (keeping.has(opType)) return input(0);
    if (arithmetic.has(opType))
      return combined(
        opType,
        input(0),
        input(1),
        inputs.map((i) => constant(i) !== null),
      );
    switch (opType) {
      case "Neg": {
        const x = input(0);
        return x && { ...x, low: -x.high, high: -x.low };
      }
      case "Relu":
        return limited(input(0), 0, Infinity, opType);
      case "Clip": {
        const limit = (index: number, attribute: string, none: number): number | null => {
          const given = node.attributes.get(attribute);
          if (given) return given.f;
          if (!inputs[index]) return none;
          return constant(inputs[index])?.[0] ?? null;
        };
        const [low, high] = [limit(1, "min", -Infinity), limit(2, "max", Infinity)];
        return low === null || high === null ? null : limited(input(0), low, high, opType);
      }
      case "Abs": {
        const x = input(0);
        const high = x ? Math.max(Math.abs(x.low), Math.abs(x.high)) : Infinity;
        return { low: 0, high, tight: x?.tight ?? true, by: opType };
      }
      case "Exp":
      case "Softplus":
        return { low: 0, high: Infinity, tight: true, by: opType };
      case "Max":
      case "Min":
        return inputs.slice(1).reduce<Bounds | null>((all, next) => {
          const fixedNext = constant(next);
          if (!fixedNext) return null;
          return opType === "Max"
            ? limited(all, fixedNext[0], Infinity, opType)
            : limited(all, -Infinity, fixedNext[1], opType);
        }, input(0));
      case "Concat":
        return hull(inputs.map((_, index) => input(index)));
      case "Where":
        return hull([input(1), input(2)]);
      case "Pad": {
        const mode = new TextDecoder().decode(node.attributes.get("mode")?.s ?? new Uint8Array());
        if (mode !== "" && mode !== "constant") return input(0);
        const filled = node.attributes.get("value")?.f ?? (inputs[2] ? constant(inputs[2])?.[0] : 0);
        if (filled === undefined) return null;
        return hull([input(0), { low: filled, high: filled, tight: true, by: "Pad" }]);
      }
      case "Resize": {
        // Cubic interpolation overshoots.
        const mode = new TextDecoder().decode(node.attributes.get("mode")?.s ?? new Uint8Array());
        return mode === "cubic" ? null : input(0);
      }
      default:
        return null;
    }
  };
  return walk(name, 0);
}

/** What lies in [low, high] by force. */
function limited(x: Bounds | null, low: number, high: number, by: string): Bounds {
  const [from, to] = [Math.max(x?.low ?? -Infinity, low), Math.min(x?.high ?? Infinity, high)];
  const changed = from === low || to === high;
  const tight = (x?.tight ?? true) || (from === low && to === high);
  return { low: from, high: to, tight, by: changed || !x ? by : x.by };
}

function hull(parts: readonly (Bounds | null)[]): Bounds | null {
  if (parts.length === 0 || parts.includes(null)) return null;
  const all = parts as Bounds[];
  const named = new Set(all.map(({ by }) => by));
  return {
    low: Math.min(...all.map(({ low }) => low)),
    high: Math.max(...all.map(({ high }) => high)),
    tight: all.every(({ tight }) => tight),
    by: [...named].join(" and "),
  };
}

/** a ∘ b; `constants` says which of them are. */
function combined(
  op: string,
  a: Bounds | null,
  b: Bounds | null,
  [fixedA = false, fixedB = false]: boolean[],
): Bounds | null {
  if (!a || !b) return null;
  if (op === "Div" && b.low <= 0 && b.high >= 0) return null;
  const apply = (x: number, y: number): number => {
    switch (op) {
      case "Add":
        return x + y;
      case "Sub":
        return x - y;
      case "Mul":
        return x === 0 || y === 0 ? 0 : x * y;
      default:
        return x / y;
    }
  };
  const ends = [a.low, a.high].flatMap((x) => [apply(x, b.low), apply(x, b.high)]);
  if (ends.some(Number.isNaN)) return null;
  const scaled = (x: Bounds): string => (x.by.endsWith(" and a scale") ? x.by : `${x.by} and a scale`);
  return {
    low: Math.min(...ends),
    high: Math.max(...ends),
    // Two values that both vary may never be at their ends together.
    tight: (fixedA && b.tight) || (fixedB && a.tight),
    by: fixedB ? scaled(a) : fixedA ? scaled(b) : `${a.by} and ${b.by}`,
  };
}

/** The least and the largest number of an initializer or a Constant; null for any other value, and for one in another file. */
function constantBounds(
  graph: Graph,
  makers: ReadonlyMap<string, Node>,
  name: string,
): readonly [number, number] | null {
  const numbers = constantNumbers(graph, makers, name);
  if (!numbers || numbers.length === 0) return null;
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < numbers.length; i++) {
    low = Math.min(low, numbers[i]!);
    high = Math.max(high, numbers[i]!);
  }
  return Number.isNaN(low) || Number.isNaN(high) ? null : [low, high];
}

/** The numbers of an initializer or of a Constant, moved about or not; null for any other value. */
export function constantNumbers(
  graph: Graph,
  makers: ReadonlyMap<string, Node>,
  name: string,
): ArrayLike<number> | null {
  const tensor = graph.initializers.get(name);
  if (tensor) return tensorDims(tensor).reduce((p, q) => p * q, 1) <= maxConstant ? asNumbers(tensor) : null;
  const node = makers.get(name);
  if (node?.domain !== "") return null;
  if (["Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape"].includes(node.opType))
    return constantNumbers(graph, makers, node.inputs[0] ?? "");
  if (node.opType !== "Constant") return null;
  const value = node.attributes.get("value")?.t;
  if (value) return asNumbers(value);
  const single = node.attributes.get("value_float") ?? node.attributes.get("value_int");
  if (single) return [node.attributes.has("value_float") ? single.f : Number(single.i)];
  return node.attributes.get("value_floats")?.floats ?? null;
}

function asNumbers(tensor: TensorProto): ArrayLike<number> | null {
  const numbers = readNumbers(tensor);
  return numbers && Array.from(numbers, Number);
}
