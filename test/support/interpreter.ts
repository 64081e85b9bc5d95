/**
 * ONNX by the specification's words, in float64 and as slow as it is plain: what gradients are held to by finite differences.
 * It shares the reading of files with the library, and no shapes, rules or kernels.
 */
import { float, int, ints, string } from "../../lib/onnx/attributes.js";
import type { Graph, Node } from "../../lib/onnx/index.js";
import { readNumbers, tensorDims } from "../../lib/onnx/tensors.js";

export interface Value {
  dims: number[];
  data: Float64Array;
}

const count = (dims: readonly number[]): number => dims.reduce((p, q) => p * q, 1);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function at(dims: readonly number[], index: readonly number[]): number {
  return index.reduce((flat, i, axis) => flat * dims[axis]! + i, 0);
}

function* indices(dims: readonly number[]): Generator<number[]> {
  const n = count(dims);
  for (let flat = 0; flat < n; flat++) {
    const index = new Array<number>(dims.length);
    for (let axis = dims.length - 1, rest = flat; axis >= 0; axis--) {
      index[axis] = rest % dims[axis]!;
      rest = Math.floor(rest / dims[axis]!);
    }
    yield index;
  }
}

/** A tensor by a function of its index. */
function build(dims: number[], f: (index: number[]) => number): Value {
  const data = new Float64Array(count(dims));
  let flat = 0;
  for (const index of indices(dims)) data[flat++] = f(index);
  return { dims, data };
}

const get = (x: Value, index: readonly number[]): number => x.data[at(x.dims, index)]!;
const scalar = (value: number): Value => ({ dims: [], data: Float64Array.of(value) });

function map(f: (...numbers: number[]) => number, ...values: Value[]): Value {
  const rank = Math.max(...values.map(({ dims }) => dims.length));
  const wide = values.map(({ dims }) => [...new Array<number>(rank - dims.length).fill(1), ...dims]);
  const dims = range(rank).map((axis) => wide.map((d) => d[axis]!).reduce((p, q) => (p === 1 ? q : p), 1));
  return build(dims, (index) =>
    f(
      ...values.map(
        ({ data }, i) =>
          data[
            at(
              wide[i]!,
              index.map((k, axis) => (wide[i]![axis] === 1 ? 0 : k)),
            )
          ]!,
      ),
    ),
  );
}

const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** One number of all along some axes. */
function reduce(x: Value, axes: readonly number[], keep: boolean, f: (numbers: number[]) => number): Value {
  const kept = x.dims.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const groups = new Map<number, number[]>();
  for (const index of indices(x.dims)) {
    const key = at(
      kept,
      index.map((i, axis) => (axes.includes(axis) ? 0 : i)),
    );
    groups.set(key, [...(groups.get(key) ?? []), get(x, index)]);
  }
  const data = Float64Array.from({ length: count(kept) }, (_, i) => f(groups.get(i) ?? []));
  return { dims: keep ? kept : x.dims.filter((_, axis) => !axes.includes(axis)), data };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((p, q) => p + q, 0);
const mean = (numbers: readonly number[]): number => sum(numbers) / numbers.length;

function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  let [total, term] = [x, x];
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.log1p(Math.exp(x));
const elu = (x: number, alpha: number): number => (x < 0 ? alpha * Math.expm1(x) : x);
const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

const unary: Record<string, (x: number, node: Node) => number> = {
  Abs: Math.abs,
  Acos: Math.acos,
  Acosh: Math.acosh,
  Asin: Math.asin,
  Asinh: Math.asinh,
  Atan: Math.atan,
  Atanh: Math.atanh,
  Cos: Math.cos,
  Cosh: Math.cosh,
  Exp: Math.exp,
  Log: Math.log,
  Sin: Math.sin,
  Sinh: Math.sinh,
  Sqrt: Math.sqrt,
  Tan: Math.tan,
  Tanh: Math.tanh,
  Erf: erf,
  Sigmoid: sigmoid,
  Softplus: softplus,
  Identity: (x) => x,
  Cast: (x) => x,
  CastLike: (x) => x,
  Dropout: (x) => x,
  Neg: (x) => -x,
  Reciprocal: (x) => 1 / x,
  Relu: (x) => Math.max(x, 0),
  Sign: Math.sign,
  Floor: Math.floor,
  Not: (x) => (x ? 0 : 1),
  Softsign: (x) => x / (1 + Math.abs(x)),
  Mish: (x) => x * Math.tanh(softplus(x)),
  HardSwish: (x) => x * clamp(x / 6 + 0.5, 0, 1),
  Elu: (x, n) => elu(x, float(n, "alpha", 1)),
  Celu: (x, n) => elu(x / float(n, "alpha", 1), 1) * float(n, "alpha", 1),
  Selu: (x, n) => float(n, "gamma", 1.0507009873554805) * elu(x, float(n, "alpha", 1.6732632423543772)),
  LeakyRelu: (x, n) => (x < 0 ? x * float(n, "alpha", 0.01) : x),
  ThresholdedRelu: (x, n) => (x > float(n, "alpha", 1) ? x : 0),
  HardSigmoid: (x, n) => clamp(float(n, "alpha", 0.2) * x + float(n, "beta", 0.5), 0, 1),
  Shrink: (x, n) => {
    const [bound, bias] = [float(n, "lambd", 0.5), float(n, "bias", 0)];
    return x < -bound ? x + bias : x > bound ? x - bias : 0;
  },
  Swish: (x, n) => x * sigmoid(float(n, "alpha", 1) * x),
  Gelu: (x, n) =>
    string(n, "approximate", "none") === "tanh"
      ? (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
      : (x / 2) * (1 + erf(x / Math.SQRT2)),
};

const variadic: Record<string, (...x: number[]) => number> = {
  Add: (p, q) => p! + q!,
  Sub: (p, q) => p! - q!,
  Mul: (p, q) => p! * q!,
  Div: (p, q) => p! / q!,
  Pow: (p, q) => p! ** q!,
  Mod: (p, q) => p! % q!,
  PRelu: (p, q) => (p! < 0 ? p! * q! : p!),
  Max: Math.max,
  Min: Math.min,
  Sum: (...x) => sum(x),
  Mean: (...x) => mean(x),
  Where: (c, p, q) => (c ? p! : q!),
  Greater: (p, q) => (p! > q! ? 1 : 0),
  Less: (p, q) => (p! < q! ? 1 : 0),
  Equal: (p, q) => (p === q ? 1 : 0),
};

const reductions: Record<string, (numbers: number[]) => number> = {
  ReduceSum: sum,
  ReduceMean: mean,
  ReduceMax: (x) => Math.max(...x),
  ReduceMin: (x) => Math.min(...x),
  ReduceProd: (x) => x.reduce((p, q) => p * q, 1),
  ReduceL1: (x) => sum(x.map(Math.abs)),
  ReduceL2: (x) => Math.sqrt(sum(x.map((v) => v * v))),
  ReduceSumSquare: (x) => sum(x.map((v) => v * v)),
  ReduceLogSum: (x) => Math.log(sum(x)),
  ReduceLogSumExp: (x) => Math.log(sum(x.map(Math.exp))),
};

type Operator = (x: Value[], node: Node, opset: number, has: (i: number) => boolean) => Value | Value[];

const reshape = (x: Value, dims: number[]): Value => ({ dims, data: x.data });

function transpose(x: Value, perm: readonly number[]): Value {
  return build(
    perm.map((axis) => x.dims[axis]!),
    (index) => {
      const from = new Array<number>(index.length);
      perm.forEach((axis, i) => (from[axis] = index[i]!));
      return get(x, from);
    },
  );
}

function matmul(a: Value, b: Value): Value {
  const [p, q] = [
    a.dims.length === 1 ? reshape(a, [1, ...a.dims]) : a,
    b.dims.length === 1 ? reshape(b, [...b.dims, 1]) : b,
  ];
  const rank = Math.max(p.dims.length, q.dims.length);
  const lead = (x: Value): number[] => [...new Array<number>(rank - x.dims.length).fill(1), ...x.dims];
  const [u, v] = [lead(p), lead(q)];
  const batch = range(rank - 2).map((axis) => Math.max(u[axis]!, v[axis]!));
  const inner = u[rank - 1]!;
  const result = build([...batch, u[rank - 2]!, v[rank - 1]!], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    const of = (dims: number[]): number[] => index.slice(0, -2).map((k, axis) => (dims[axis] === 1 ? 0 : k));
    return sum(range(inner).map((k) => p.data[at(u, [...of(u), i, k])]! * q.data[at(v, [...of(v), k, j])]!));
  });
  const dims = [...result.dims];
  if (b.dims.length === 1) dims.pop();
  if (a.dims.length === 1) dims.splice(dims.length - (b.dims.length === 1 ? 1 : 2), 1);
  return reshape(result, dims);
}

/** Strides, dilations and the pads at both ends of the spatial axes. */
function window(node: Node, kernel: readonly number[]) {
  const rank = kernel.length;
  const pads = ints(node, "pads") ?? new Array<number>(2 * rank).fill(0);
  const strides = ints(node, "strides") ?? new Array<number>(rank).fill(1);
  const dilations = ints(node, "dilations") ?? new Array<number>(rank).fill(1);
  const group = int(node, "group", 1);
  return { rank, pads, strides, dilations, group };
}

function pooled(x: Value, node: Node, f: (numbers: number[], all: number) => number): Value {
  const kernel = ints(node, "kernel_shape")!;
  const { rank, pads, strides, dilations } = window(node, kernel);
  const spatial = range(rank).map(
    (i) =>
      Math.floor(
        (x.dims[i + 2]! + pads[i]! + pads[i + rank]! - dilations[i]! * (kernel[i]! - 1) - 1) / strides[i]!,
      ) + 1,
  );
  return build([x.dims[0]!, x.dims[1]!, ...spatial], ([n, c, ...place]) => {
    const numbers: number[] = [];
    for (const k of indices(kernel)) {
      const from = k.map((offset, i) => place[i]! * strides[i]! - pads[i]! + offset * dilations[i]!);
      if (from.every((p, i) => p >= 0 && p < x.dims[i + 2]!)) numbers.push(get(x, [n!, c!, ...from]));
    }
    return f(numbers, count(kernel));
  });
}

function normalized(x: Value, axes: readonly number[], epsilon: number): Value {
  const centre = reduce(x, axes, true, mean);
  const centred = map((p, q) => p - q, x, centre);
  const variance = reduce(centred, axes, true, (v) => mean(v.map((e) => e * e)));
  return map((p, v) => p / Math.sqrt(v + epsilon), centred, variance);
}

function softmax(x: Value, axis: number): Value {
  const total = reduce(x, [axisOf(axis, x.dims.length)], true, (v) => sum(v.map(Math.exp)));
  return map((p, q) => Math.exp(p) / q, x, total);
}

const perChannel = (v: Value, rank: number): Value =>
  reshape(v, [v.dims[0]!, ...new Array<number>(rank - 2).fill(1)]);
const scaled = (x: Value, s: Value, b?: Value): Value => {
  const y = map((p, q) => p * q, x, perChannel(s, x.dims.length));
  return b ? map((p, q) => p + q, y, perChannel(b, x.dims.length)) : y;
};
const concat = (values: Value[], given: number): Value => {
  const axis = axisOf(given, values[0]!.dims.length);
  const total = sum(values.map(({ dims }) => dims[axis]!));
  return build(
    values[0]!.dims.map((size, i) => (i === axis ? total : size)),
    (index) => {
      let place = index[axis]!;
      for (const value of values) {
        if (place < value.dims[axis]!)
          return get(
            value,
            index.map((i, a) => (a === axis ? place : i)),
          );
        place -= value.dims[axis]!;
      }
      throw new Error("concat");
    },
  );
};
const split = (x: Value, axis: number, sizes: readonly number[]): Value[] =>
  sizes.map((size, part) => {
    const before = sum(sizes.slice(0, part));
    return build(
      x.dims.map((d, a) => (a === axis ? size : d)),
      (index) =>
        get(
          x,
          index.map((i, a) => (a === axis ? i + before : i)),
        ),
    );
  });
const linear = (x: Value, row: (n: number) => [number, number][], length: number, axis: number): Value =>
  build(
    x.dims.map((d, a) => (a === axis ? length : d)),
    (index) =>
      sum(
        row(index[axis]!).map(
          ([from, weight]) =>
            weight *
            get(
              x,
              index.map((i, a) => (a === axis ? from : i)),
            ),
        ),
      ),
  );

const operators: Record<string, Operator> = {
  Clip: ([x, low, high], _n, _o, has) =>
    map((v) => clamp(v, has(1) ? low!.data[0]! : -Infinity, has(2) ? high!.data[0]! : Infinity), x!),
  MatMul: ([a, b]) => matmul(a!, b!),
  Gemm: ([a, b, c], n) => {
    const turned = (v: Value, flag: string): Value => (int(n, flag, 0) ? transpose(v, [1, 0]) : v);
    const product = map((v) => v * float(n, "alpha", 1), matmul(turned(a!, "transA"), turned(b!, "transB")));
    return c ? map((p, q) => p + q * float(n, "beta", 1), product, c) : product;
  },
  Einsum: (x, n) => {
    const [left, right] = string(n, "equation", "").replaceAll(" ", "").split("->") as [string, string];
    const terms = left.split(",");
    const sizes = new Map<string, number>();
    terms.forEach((term, i) => [...term].forEach((letter, a) => sizes.set(letter, x[i]!.dims[a]!)));
    const inner = [...sizes.keys()].filter((letter) => !right.includes(letter));
    return build(
      [...right].map((letter) => sizes.get(letter)!),
      (index) => {
        let total = 0;
        for (const k of indices(inner.map((letter) => sizes.get(letter)!))) {
          const place = (letter: string): number =>
            right.includes(letter) ? index[right.indexOf(letter)]! : k[inner.indexOf(letter)]!;
          total += terms.reduce((p, term, i) => p * get(x[i]!, [...term].map(place)), 1);
        }
        return total;
      },
    );
  },
  Softmax: ([x], n) => softmax(x!, int(n, "axis", -1)),
  LogSoftmax: ([x], n) => map(Math.log, softmax(x!, int(n, "axis", -1))),
  Reshape: ([x, s]) => {
    const dims = [...s!.data].map((d, i) => (d === 0 ? x!.dims[i]! : d));
    const known = count(dims.filter((d) => d > 0));
    return reshape(
      x!,
      dims.map((d) => (d < 0 ? x!.data.length / known : d)),
    );
  },
  Flatten: ([x], n) => {
    const axis = axisOf(int(n, "axis", 1), x!.dims.length);
    return reshape(x!, [count(x!.dims.slice(0, axis)), count(x!.dims.slice(axis))]);
  },
  Squeeze: ([x, axes], _n, _o, has) => {
    const gone = has(1)
      ? [...axes!.data].map((a) => axisOf(a, x!.dims.length))
      : x!.dims.flatMap((d, a) => (d === 1 ? [a] : []));
    return reshape(
      x!,
      x!.dims.filter((_, a) => !gone.includes(a)),
    );
  },
  Unsqueeze: ([x, axes]) => {
    const rank = x!.dims.length + axes!.data.length;
    const added = [...axes!.data].map((a) => axisOf(a, rank));
    const rest = [...x!.dims];
    return reshape(
      x!,
      range(rank).map((a) => (added.includes(a) ? 1 : rest.shift()!)),
    );
  },
  Transpose: ([x], n) => transpose(x!, ints(n, "perm") ?? range(x!.dims.length).reverse()),
  Concat: (x, n) => concat(x, int(n, "axis", 0)),
  Split: ([x, s], n, _o, has) => {
    const axis = axisOf(int(n, "axis", 0), x!.dims.length);
    const parts = n.outputs.length;
    const each = Math.ceil(x!.dims[axis]! / parts);
    return split(
      x!,
      axis,
      has(1)
        ? [...s!.data]
        : range(parts).map((i) => (i < parts - 1 ? each : x!.dims[axis]! - each * (parts - 1))),
    );
  },
  Slice: ([x, starts, ends, axes, steps], _n, _o, has) => {
    let y = x!;
    starts!.data.forEach((start, i) => {
      const axis = axisOf(has(3) ? axes!.data[i]! : i, y.dims.length);
      const [size, step] = [y.dims[axis]!, has(4) ? steps!.data[i]! : 1];
      const bound = (v: number): number =>
        clamp(v < 0 ? v + size : v, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
      const first = clamp(start < 0 ? start + size : start, 0, step > 0 ? size : size - 1);
      const kept = Math.max(0, Math.ceil((bound(ends!.data[i]!) - first) / step));
      y = linear(y, (k) => [[first + k * step, 1]], kept, axis);
    });
    return y;
  },
  Gather: ([x, picks], n) => {
    const axis = axisOf(int(n, "axis", 0), x!.dims.length);
    const rank = picks!.dims.length;
    return build([...x!.dims.slice(0, axis), ...picks!.dims, ...x!.dims.slice(axis + 1)], (index) =>
      get(x!, [
        ...index.slice(0, axis),
        axisOf(get(picks!, index.slice(axis, axis + rank)), x!.dims[axis]!),
        ...index.slice(axis + rank),
      ]),
    );
  },
  GatherElements: ([x, picks], n) => {
    const axis = axisOf(int(n, "axis", 0), x!.dims.length);
    return build([...picks!.dims], (index) =>
      get(
        x!,
        index.map((i, a) => (a === axis ? axisOf(get(picks!, index), x!.dims[a]!) : i)),
      ),
    );
  },
  GatherND: ([x, picks]) => {
    const depth = picks!.dims.at(-1)!;
    const lead = picks!.dims.slice(0, -1);
    return build([...lead, ...x!.dims.slice(depth)], (index) => {
      const row = range(depth).map((k) => get(picks!, [...index.slice(0, lead.length), k]));
      return get(x!, [...row, ...index.slice(lead.length)]);
    });
  },
  ScatterElements: ([x, picks, updates], n) => {
    const axis = axisOf(int(n, "axis", 0), x!.dims.length);
    const y = { dims: x!.dims, data: Float64Array.from(x!.data) };
    const how = string(n, "reduction", "none");
    for (const index of indices(picks!.dims)) {
      const to = at(
        y.dims,
        index.map((i, a) => (a === axis ? get(picks!, index) : i)),
      );
      const value = get(updates!, index);
      y.data[to] =
        how === "add"
          ? y.data[to]! + value
          : how === "mul"
            ? y.data[to]! * value
            : how === "max"
              ? Math.max(y.data[to]!, value)
              : how === "min"
                ? Math.min(y.data[to]!, value)
                : value;
    }
    return y;
  },
  ScatterND: ([x, picks, updates]) => {
    const y = { dims: x!.dims, data: Float64Array.from(x!.data) };
    const depth = picks!.dims.at(-1)!;
    for (const index of indices(updates!.dims)) {
      const lead = index.slice(0, picks!.dims.length - 1);
      const row = range(depth).map((k) => get(picks!, [...lead, k]));
      y.data[at(y.dims, [...row, ...index.slice(lead.length)])] = get(updates!, index);
    }
    return y;
  },
  Pad: ([x, pads, value, axes], n, _o, has) => {
    const all = has(3) ? [...axes!.data].map((a) => axisOf(a, x!.dims.length)) : range(x!.dims.length);
    const mode = string(n, "mode", "constant");
    const fill = has(2) ? value!.data[0]! : 0;
    const before = x!.dims.map((_, a) => (all.includes(a) ? pads!.data[all.indexOf(a)]! : 0));
    const after = x!.dims.map((_, a) => (all.includes(a) ? pads!.data[all.indexOf(a) + all.length]! : 0));
    return build(
      x!.dims.map((d, a) => d + before[a]! + after[a]!),
      (index) => {
        const from = index.map((i, a) => {
          const [k, d] = [i - before[a]!, x!.dims[a]!];
          if (mode === "edge") return clamp(k, 0, d - 1);
          if (mode === "wrap") return ((k % d) + d) % d;
          if (mode === "reflect") return k < 0 ? -k : k >= d ? 2 * (d - 1) - k : k;
          return k;
        });
        return from.every((k, a) => k >= 0 && k < x!.dims[a]!) ? get(x!, from) : fill;
      },
    );
  },
  Tile: ([x, times]) =>
    build(
      x!.dims.map((d, a) => d * times!.data[a]!),
      (index) =>
        get(
          x!,
          index.map((i, a) => i % x!.dims[a]!),
        ),
    ),
  Expand: ([x, s]) => map((p) => p, x!, { dims: [...s!.data], data: new Float64Array(count([...s!.data])) }),
  DepthToSpace: ([x], n) => {
    const s = int(n, "blocksize", 1);
    const [b, c, h, w] = x!.dims as [number, number, number, number];
    return string(n, "mode", "DCR") === "DCR"
      ? reshape(transpose(reshape(x!, [b, s, s, c / s / s, h, w]), [0, 3, 4, 1, 5, 2]), [
          b,
          c / s / s,
          h * s,
          w * s,
        ])
      : reshape(transpose(reshape(x!, [b, c / s / s, s, s, h, w]), [0, 1, 4, 2, 5, 3]), [
          b,
          c / s / s,
          h * s,
          w * s,
        ]);
  },
  SpaceToDepth: ([x], n) => {
    const s = int(n, "blocksize", 1);
    const [b, c, h, w] = x!.dims as [number, number, number, number];
    return reshape(transpose(reshape(x!, [b, c, h / s, s, w / s, s]), [0, 3, 5, 1, 2, 4]), [
      b,
      c * s * s,
      h / s,
      w / s,
    ]);
  },
  Trilu: ([x, k], n, _o, has) => {
    const shift = has(1) ? k!.data[0]! : 0;
    const upper = int(n, "upper", 1) !== 0;
    return build([...x!.dims], (index) => {
      const [i, j] = index.slice(-2) as [number, number];
      return (upper ? j >= i + shift : j <= i + shift) ? get(x!, index) : 0;
    });
  },
  CumSum: ([x, a], n) => cumulated(x!, a!, n, (v) => sum(v)),
  CumProd: ([x, a], n) => cumulated(x!, a!, n, (v) => v.reduce((p, q) => p * q, 1)),
  ReverseSequence: ([x, lengths], n) => {
    const [batch, time] = [int(n, "batch_axis", 1), int(n, "time_axis", 0)];
    return build([...x!.dims], (index) => {
      const length = lengths!.data[index[batch]!]!;
      return get(
        x!,
        index.map((i, a) => (a === time && i < length ? length - 1 - i : i)),
      );
    });
  },
  OneHot: ([picks, depth, values]) =>
    build(
      [...picks!.dims, depth!.data[0]!],
      (index) => values!.data[get(picks!, index.slice(0, -1)) === index.at(-1) ? 1 : 0]!,
    ),
  Compress: ([x, kept], n) => {
    const axis = axisOf(int(n, "axis", 0), x!.dims.length);
    const rows = [...kept!.data].flatMap((k, i) => (k ? [i] : []));
    return linear(x!, (k) => [[rows[k]!, 1]], rows.length, axis);
  },
  TopK: ([x, k], n) => {
    const axis = axisOf(int(n, "axis", -1), x!.dims.length);
    const order = int(n, "largest", 1) ? 1 : -1;
    const dims = x!.dims.map((d, a) => (a === axis ? k!.data[0]! : d));
    return build(
      dims,
      (index) =>
        range(x!.dims[axis]!)
          .map((i) =>
            get(
              x!,
              index.map((v, a) => (a === axis ? i : v)),
            ),
          )
          .sort((p, q) => order * (q - p))[index[axis]!]!,
    );
  },
  Range: ([start, limit, step]) => {
    const n = Math.max(0, Math.ceil((limit!.data[0]! - start!.data[0]!) / step!.data[0]!));
    return build([n], ([i]) => start!.data[0]! + i! * step!.data[0]!);
  },
  Conv: ([x, w, b], n) => {
    const kernel = w!.dims.slice(2);
    const { rank, pads, strides, dilations, group } = window(n, kernel);
    const [each, out] = [w!.dims[1]!, w!.dims[0]! / group];
    const spatial = kernel.map(
      (k, i) =>
        Math.floor(
          (x!.dims[i + 2]! + pads[i]! + pads[i + rank]! - dilations[i]! * (k - 1) - 1) / strides[i]!,
        ) + 1,
    );
    return build([x!.dims[0]!, w!.dims[0]!, ...spatial], ([row, m, ...place]) => {
      let total = b ? b.data[m!]! : 0;
      for (const [c, ...k] of indices([each, ...kernel])) {
        const from = k.map((offset, i) => place[i]! * strides[i]! - pads[i]! + offset * dilations[i]!);
        if (!from.every((p, i) => p >= 0 && p < x!.dims[i + 2]!)) continue;
        total += get(x!, [row!, Math.floor(m! / out) * each + c!, ...from]) * get(w!, [m!, c!, ...k]);
      }
      return total;
    });
  },
  ConvTranspose: ([x, w, b], n) => {
    const kernel = w!.dims.slice(2);
    const { rank, pads, strides, dilations, group } = window(n, kernel);
    const more = ints(n, "output_padding") ?? new Array<number>(rank).fill(0);
    const [from, each] = [x!.dims[1]! / group, w!.dims[1]!];
    const spatial = kernel.map(
      (k, i) =>
        strides[i]! * (x!.dims[i + 2]! - 1) +
        more[i]! +
        (k - 1) * dilations[i]! +
        1 -
        pads[i]! -
        pads[i + rank]!,
    );
    const y = build([x!.dims[0]!, each * group, ...spatial], ([, m]) => (b ? b.data[m!]! : 0));
    for (const [row, c, ...place] of indices(x!.dims))
      for (const [m, ...k] of indices([each, ...kernel])) {
        const to = k.map((offset, i) => place[i]! * strides[i]! - pads[i]! + offset * dilations[i]!);
        if (!to.every((p, i) => p >= 0 && p < spatial[i]!)) continue;
        const index = at(y.dims, [row!, Math.floor(c! / from) * each + m!, ...to]);
        y.data[index] = y.data[index]! + get(x!, [row!, c!, ...place]) * get(w!, [c!, m!, ...k]);
      }
    return y;
  },
  MaxPool: ([x], n) => pooled(x!, n, (v) => Math.max(...v)),
  AveragePool: ([x], n) =>
    pooled(x!, n, (v, all) => sum(v) / (int(n, "count_include_pad", 0) ? all : v.length)),
  LpPool: ([x], n) =>
    pooled(x!, n, (v) => sum(v.map((e) => Math.abs(e) ** int(n, "p", 2))) ** (1 / int(n, "p", 2))),
  GlobalAveragePool: ([x]) => reduce(x!, range(x!.dims.length).slice(2), true, mean),
  GlobalMaxPool: ([x]) => reduce(x!, range(x!.dims.length).slice(2), true, (v) => Math.max(...v)),
  GlobalLpPool: ([x], n) =>
    reduce(
      x!,
      range(x!.dims.length).slice(2),
      true,
      (v) => sum(v.map((e) => Math.abs(e) ** int(n, "p", 2))) ** (1 / int(n, "p", 2)),
    ),
  BatchNormalization: ([x, s, b, m, v], n) => {
    const rank = x!.dims.length;
    const even = map(
      (p, q, r) => (p - q) / Math.sqrt(r + float(n, "epsilon", 1e-5)),
      x!,
      perChannel(m!, rank),
      perChannel(v!, rank),
    );
    return scaled(even, s!, b!);
  },
  InstanceNormalization: ([x, s, b], n) =>
    scaled(normalized(x!, range(x!.dims.length).slice(2), float(n, "epsilon", 1e-5)), s!, b!),
  GroupNormalization: ([x, s, b], n, opset) => {
    const groups = int(n, "num_groups", 1);
    const each = x!.dims[1]! / groups;
    const even = reshape(
      normalized(
        reshape(x!, [x!.dims[0]!, groups, count(x!.dims.slice(1)) / groups]),
        [2],
        float(n, "epsilon", 1e-5),
      ),
      x!.dims,
    );
    const wide = (v: Value): Value =>
      opset >= 21 ? v : build([x!.dims[1]!], ([c]) => v.data[Math.floor(c! / each)]!);
    return scaled(even, wide(s!), wide(b!));
  },
  LayerNormalization: ([x, s, b], n) => {
    const first = axisOf(int(n, "axis", -1), x!.dims.length);
    const y = map(
      (p, q) => p * q,
      normalized(x!, range(x!.dims.length).slice(first), float(n, "epsilon", 1e-5)),
      s!,
    );
    return b ? map((p, q) => p + q, y, b) : y;
  },
  RMSNormalization: ([x, s], n) => {
    const first = axisOf(int(n, "axis", -1), x!.dims.length);
    const square = reduce(x!, range(x!.dims.length).slice(first), true, (v) => mean(v.map((e) => e * e)));
    return map((p, q, r) => (p / Math.sqrt(q + float(n, "epsilon", 1e-5))) * r, x!, square, s!);
  },
  MeanVarianceNormalization: ([x], n) => {
    const axes = ints(n, "axes") ?? [0, 2, 3];
    const centred = map((p, q) => p - q, x!, reduce(x!, axes, true, mean));
    const deviation = reduce(centred, axes, true, (v) => Math.sqrt(mean(v.map((e) => e * e))));
    return map((p, q) => p / (q + 1e-9), centred, deviation);
  },
  LpNormalization: ([x], n) => {
    const p = int(n, "p", 2);
    const norm = reduce(
      x!,
      [axisOf(int(n, "axis", -1), x!.dims.length)],
      true,
      (v) => sum(v.map((e) => Math.abs(e) ** p)) ** (1 / p),
    );
    return map((u, v) => u / v, x!, norm);
  },
  LRN: ([x], n) => {
    const size = int(n, "size", 1);
    return build([...x!.dims], ([row, c, ...place]) => {
      const near = range(x!.dims[1]!).filter(
        (k) => k >= c! - Math.floor((size - 1) / 2) && k <= c! + Math.ceil((size - 1) / 2),
      );
      const square = sum(near.map((k) => get(x!, [row!, k, ...place]) ** 2));
      return (
        get(x!, [row!, c!, ...place]) /
        (float(n, "bias", 1) + (float(n, "alpha", 1e-4) / size) * square) ** float(n, "beta", 0.75)
      );
    });
  },
  Attention: ([q, k, v, mask], n, _o, has) => {
    const flat = q!.dims.length === 3;
    const perHead = (x: Value, heads: number): Value =>
      flat ? transpose(reshape(x, [x.dims[0]!, x.dims[1]!, heads, x.dims[2]! / heads]), [0, 2, 1, 3]) : x;
    const [queries, keys, values] = [
      perHead(q!, int(n, "q_num_heads", 1)),
      perHead(k!, int(n, "kv_num_heads", 1)),
      perHead(v!, int(n, "kv_num_heads", 1)),
    ];
    const group = queries.dims[1]! / keys.dims[1]!;
    const repeated = (x: Value): Value => linear(x, (h) => [[Math.floor(h / group), 1]], queries.dims[1]!, 1);
    const scale = float(n, "scale", 0) || 1 / Math.sqrt(queries.dims[3]!);
    let scores = map((s) => s * scale, matmul(queries, transpose(repeated(keys), [0, 1, 3, 2])));
    const cap = float(n, "softcap", 0);
    if (cap) scores = map((s) => cap * Math.tanh(s / cap), scores);
    if (has(3)) scores = map((s, m) => s + m, scores, mask!);
    if (int(n, "is_causal", 0))
      scores = build([...scores.dims], (index) => (index[3]! <= index[2]! ? get(scores, index) : -Infinity));
    const mixed = matmul(softmax(scores, -1), repeated(values));
    if (!flat) return mixed;
    return reshape(transpose(mixed, [0, 2, 1, 3]), [
      q!.dims[0]!,
      q!.dims[1]!,
      mixed.dims[1]! * mixed.dims[3]!,
    ]);
  },
  RotaryEmbedding: ([x, cos, sin, places], n, _o, has) => {
    const pair = int(n, "interleaved", 0) !== 0;
    const half = cos!.dims.at(-1)!;
    const table = (t: Value, b: number, s: number, i: number): number =>
      has(3) ? get(t, [get(places!, [b, s]), i]) : get(t, [b, s, i]);
    return build([...x!.dims], ([b, h, s, i]) => {
      if (i! >= 2 * half) return get(x!, [b!, h!, s!, i!]);
      const k = pair ? Math.floor(i! / 2) : i! % half;
      const [p, q] = pair ? [2 * k, 2 * k + 1] : [k, k + half];
      const [u, v] = [get(x!, [b!, h!, s!, p]), get(x!, [b!, h!, s!, q])];
      const [c, d] = [table(cos!, b!, s!, k), table(sin!, b!, s!, k)];
      return i === p ? u * c - v * d : v * c + u * d;
    });
  },
  AffineGrid: ([theta, size], n) => {
    const [batch, , ...spatial] = [...size!.data] as [number, number, ...number[]];
    const corners = int(n, "align_corners", 0) !== 0;
    return build([batch, ...spatial, spatial.length], ([b, ...index]) => {
      const out = index.pop()!;
      const place = index
        .map((i, a) => (corners ? -1 + (2 * i) / (spatial[a]! - 1) : -1 + (2 * i + 1) / spatial[a]!))
        .reverse();
      return sum([...place, 1].map((p, j) => p * get(theta!, [b!, out, j])));
    });
  },
  GridSample: ([x, grid], n) => {
    const [h, w] = x!.dims.slice(2) as [number, number];
    const corners = int(n, "align_corners", 0) !== 0;
    const place = (g: number, size: number): number =>
      corners ? ((g + 1) / 2) * (size - 1) : ((g + 1) * size - 1) / 2;
    return build([x!.dims[0]!, x!.dims[1]!, ...grid!.dims.slice(1, 3)], ([b, c, i, j]) => {
      const [px, py] = [place(get(grid!, [b!, i!, j!, 0]), w), place(get(grid!, [b!, i!, j!, 1]), h)];
      const pixel = (r: number, s: number): number =>
        r < 0 || s < 0 || r >= h || s >= w ? 0 : get(x!, [b!, c!, r, s]);
      const [r, s] = [Math.floor(py), Math.floor(px)];
      const [u, v] = [py - r, px - s];
      return (
        (1 - u) * ((1 - v) * pixel(r, s) + v * pixel(r, s + 1)) +
        u * ((1 - v) * pixel(r + 1, s) + v * pixel(r + 1, s + 1))
      );
    });
  },
  Resize: ([x, , scales, sizes], n, _o, has) => {
    const mode = string(n, "mode", "nearest");
    let y = x!;
    x!.dims.forEach((size, axis) => {
      const length = has(3)
        ? sizes!.data[axis]!
        : Math.floor(Math.fround(size * Math.fround(scales!.data[axis]!)));
      const scale = has(3) ? length / size : scales!.data[axis]!;
      if (scale === 1) return;
      const asymmetric = string(n, "coordinate_transformation_mode", "half_pixel") === "asymmetric";
      const smooth = int(n, "antialias", 0) !== 0 && scale < 1;
      y = linear(
        y,
        (k) => {
          const from = asymmetric ? k / scale : (k + 0.5) / scale - 0.5;
          if (mode === "nearest")
            return [[clamp(asymmetric ? Math.floor(from) : Math.ceil(from - 0.5), 0, size - 1), 1]];
          if (!smooth)
            return [0, 1].map((e) => [
              clamp(Math.floor(from) + e, 0, size - 1),
              e ? from - Math.floor(from) : 1 - from + Math.floor(from),
            ]);
          // What lies outside counts for the border.
          const weights = range(3 * size).map((i): [number, number] => [
            clamp(i - size, 0, size - 1),
            Math.max(0, 1 - Math.abs(i - size - from) * scale),
          ]);
          const total = sum(weights.map(([, v]) => v));
          return weights.map(([i, v]) => [i, v / total]);
        },
        length,
        axis,
      );
    });
    return y;
  },
  Det: ([x]) => {
    const size = x!.dims.at(-1)!;
    const det = (rows: number[][]): number =>
      rows.length === 0
        ? 1
        : sum(
            rows[0]!.map(
              (v, j) => (j % 2 ? -v : v) * det(rows.slice(1).map((row) => row.filter((_, k) => k !== j))),
            ),
          );
    return build(x!.dims.slice(0, -2), (index) =>
      det(range(size).map((i) => range(size).map((j) => get(x!, [...index, i, j])))),
    );
  },
  SoftmaxCrossEntropyLoss: ([x, labels]) => {
    const shares = softmax(x!, 1);
    return scalar(mean(range(x!.dims[0]!).map((i) => -Math.log(get(shares, [i, labels!.data[i]!])))));
  },
  NegativeLogLikelihoodLoss: ([x, labels]) =>
    scalar(mean(range(x!.dims[0]!).map((i) => -get(x!, [i, labels!.data[i]!])))),
  RNN: (x, n) => recurrent(x, n, (gates, h) => [Math.tanh(gates[0]!), h]),
  LSTM: (x, n) =>
    recurrent(x, n, ([i, o, f, g], _h, c) => {
      const cell = sigmoid(f!) * c + sigmoid(i!) * Math.tanh(g!);
      return [sigmoid(o!) * Math.tanh(cell), cell];
    }),
};

/** The last dimension first step by step; no biases, no states. */
function recurrent(
  [x, w, r]: Value[],
  _node: Node,
  f: (gates: number[], h: number, c: number) => [number, number],
): Value {
  const [steps, batch, inputs] = x!.dims as [number, number, number];
  const size = r!.dims[2]!;
  const gates = r!.dims[1]! / size;
  const y = build([steps, 1, batch, size], () => 0);
  for (let b = 0; b < batch; b++) {
    let [h, c] = [new Array<number>(size).fill(0), new Array<number>(size).fill(0)];
    for (let t = 0; t < steps; t++) {
      const next = range(size).map((j) => {
        const into = range(gates).map((g) => {
          const row = g * size + j;
          return (
            sum(range(inputs).map((k) => get(x!, [t, b, k]) * get(w!, [0, row, k]))) +
            sum(h.map((v, k) => v * get(r!, [0, row, k])))
          );
        });
        return f(into, h[j]!, c[j]!);
      });
      [h, c] = [next.map(([v]) => v), next.map(([, v]) => v)];
      h.forEach((v, j) => (y.data[at(y.dims, [t, 0, b, j])] = v));
    }
  }
  return y;
}

function cumulated(x: Value, a: Value, node: Node, f: (numbers: number[]) => number): Value {
  const axis = axisOf(a.data[0]!, x.dims.length);
  const [without, back] = [int(node, "exclusive", 0), int(node, "reverse", 0)];
  return build([...x.dims], (index) => {
    const near = range(x.dims[axis]!).filter((k) => {
      const [p, q] = back ? [index[axis]!, k] : [k, index[axis]!];
      return without ? p < q : p <= q;
    });
    return f(
      near.map((k) =>
        get(
          x,
          index.map((i, d) => (d === axis ? k : i)),
        ),
      ),
    );
  });
}

export function knows(opType: string): boolean {
  return opType in operators || opType in unary || opType in variadic || opType in reductions;
}

/** All values of a sorted graph of standard operators. */
export function interpret(graph: Graph, feeds: Record<string, Value>): Map<string, Value> {
  const values = new Map<string, Value>(Object.entries(feeds));
  for (const [name, tensor] of graph.initializers)
    values.set(name, { dims: tensorDims(tensor), data: Float64Array.from(readNumbers(tensor)!, Number) });
  const opset = graph.opsets.get("")!;
  for (const node of graph.nodes) {
    const x = node.inputs.map((name) => values.get(name)!);
    const has = (i: number): boolean => (node.inputs[i] ?? "") !== "";
    const { opType } = node;
    let made: Value | Value[];
    if (unary[opType]) made = map((v) => unary[opType]!(v, node), x[0]!);
    else if (variadic[opType]) made = map(variadic[opType], ...x);
    else if (reductions[opType]) {
      const axes = has(1)
        ? [...x[1]!.data].map((a) => axisOf(a, x[0]!.dims.length))
        : range(x[0]!.dims.length);
      made = reduce(x[0]!, axes, int(node, "keepdims", 1) !== 0, reductions[opType]);
    } else made = operators[opType]!(x, node, opset, has);
    (Array.isArray(made) ? made : [made]).forEach((value, i) => {
      if (node.outputs[i]) values.set(node.outputs[i], value);
    });
  }
  return values;
}
