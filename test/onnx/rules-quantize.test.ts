/**
 * The straight-through gradient of quantised numbers. QuantizeLinear and DequantizeLinear are held to PyTorch's fake
 * quantisation, to numbers counted in float64 and, in a network, to finite differences of a program in which a quantiser that
 * has rounded is a straight line from then on. Operators on quantised numbers are held to their real counterparts between the two.
 */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { TensorProtoSchema } from "onnx-buf";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  gradientPaths,
  type Attributes,
  type Graph,
} from "../../lib/onnx/index.js";
import { makeAttribute } from "../../lib/onnx/attributes.js";
import { random, seedOf, uniform } from "../support/numbers.js";
import { assertClose, runGraph, size, type Feed, type Results } from "../support/operators.js";

const { FLOAT, INT8, UINT8, INT16, UINT16, INT32, INT4, UINT4 } = DataType;

const ranges = new Map<number, readonly [number, number]>([
  [INT8, [-128, 127]],
  [UINT8, [0, 255]],
  [INT16, [-32768, 32767]],
  [UINT16, [0, 65535]],
  [INT4, [-8, 7]],
  [UINT4, [0, 15]],
]);

const feed = (dims: number[], data: ArrayLike<number>): Feed => ({ dims, data });

/** Outputs, and the gradients of their sum weighted by `g`. */
function vjp(graph: Graph, feeds: Record<string, Feed>): Promise<Results> {
  const read = decodeModel(encodeModel(graph));
  return runGraph(encodeModel(differentiateGraph(read, { straightThrough: true })), feeds);
}

/** A constant of any integer type; four bits are packed two by two, the first in the low half. */
function whole(b: Builder, data: readonly number[], dims: readonly number[], elemType: number): string {
  if (elemType !== INT4 && elemType !== UINT4) return b.constant(data, dims, elemType);
  const rawData = new Uint8Array(Math.ceil(data.length / 2));
  data.forEach((value, i) => (rawData[i >> 1]! |= (value & 15) << (i % 2 === 0 ? 0 : 4)));
  const name = b.names.fresh("four");
  b.graph.initializers.set(
    name,
    create(TensorProtoSchema, { name, dataType: elemType, dims: dims.map(BigInt), rawData }),
  );
  return name;
}

/** A node of com.microsoft, or of the standard operators. */
function node(b: Builder, opType: string, inputs: string[], attributes: Attributes = {}): string {
  if (!opType.includes(".")) return b.op(opType, inputs, attributes);
  const at = opType.lastIndexOf(".");
  const name = b.names.fresh(opType);
  b.graph.opsets.set(opType.slice(0, at), 1);
  b.append({
    ...{
      opType: opType.slice(at + 1),
      domain: opType.slice(0, at),
      name,
      overload: "",
      inputs,
      outputs: [`${name}:0`],
    },
    attributes: new Map(Object.entries(attributes).map(([key, value]) => [key, makeAttribute(key, value!)])),
  });
  return `${name}:0`;
}

describe("the gradient of quantised numbers", () => {
  const fake = (
    dims: (number | string)[],
    scale: { dims: number[]; data: number[] },
    points: number[] | null,
    elemType: number,
    attributes: Attributes = {},
  ): Graph => {
    const b = new Builder(emptyGraph("fake", 21));
    const x = b.input("x", FLOAT, dims);
    const s = b.constant(scale.data, scale.dims, FLOAT);
    const z = points && whole(b, points, scale.dims, elemType);
    b.output(
      "y",
      b.op("DequantizeLinear", [b.op("QuantizeLinear", [x, s, z], attributes), s, z], attributes),
    );
    return b.graph;
  };

  it("is that of PyTorch's fake quantisation", async () => {
    // torch.fake_quantize_per_tensor_affine(x, 0.1, 3, -128, 127), with a cotangent of 1, 2, …
    const x = [-20, -12.85, -12.75, -3.14, -0.04, 0, 0.26, 0.649, 5.5, 12.349, 12.351, 12.4, 12.5, 40];
    const one = await vjp(fake([14], { dims: [], data: [0.1] }, [3], INT8), {
      x: feed([14], x),
      grad_y: feed(
        [14],
        x.map((_, i) => i + 1),
      ),
    });
    assertClose(one["grad_x"]!.data, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0], 1e-6, "per tensor");
    // torch.fake_quantize_per_channel_affine(x, [0.01, 0.075], [17, 0], 0, 0, 255)
    const rows = [-2, -0.1, 0.3, 0.9, 5, -0.31, 19.1, 19.3];
    const wide = fake([2, 4], { dims: [2], data: [0.01, 0.075] }, [17, 0], UINT8, { axis: 0 });
    const each = await vjp(wide, {
      x: feed([2, 4], rows),
      grad_y: feed(
        [2, 4],
        rows.map((_, i) => i + 1),
      ),
    });
    assertClose(each["grad_x"]!.data, [0, 2, 3, 4, 5, 0, 7, 0], 1e-6, "per channel");
  });

  const shapes = [
    [1, 3],
    [2, 5, 4],
    [3, 4, 1, 2],
  ];
  for (const elemType of ranges.keys())
    for (const points of [true, false])
      it(`is the identity within the range of ${DataType[elemType]}${points ? ", with zero points" : ""}`, async () => {
        const name = `${elemType} ${points}`;
        const next = random(seedOf(name));
        const [low, high] = ranges.get(elemType)!;
        // Without a zero point the type is that of unsigned bytes, unless it is named.
        const named = points ? {} : { output_dtype: elemType };
        for (const dims of shapes)
          for (let axis = -1; axis < dims.length; axis++)
            for (const block of axis < 0 ? [0] : [0, 2]) {
              const places =
                block === 0
                  ? dims.slice(axis, axis + 1)
                  : dims.map((d, i) => (i === axis ? Math.ceil(d / block) : d));
              const scale = { dims: axis < 0 ? [] : places, data: [] as number[] };
              scale.data = [...uniform(next, size(scale.dims), 0.5, 1.5)].map((v) =>
                Math.fround(v / (high - low)),
              );
              const middle = scale.data.map(() => (points ? Math.round(low + (high - low) * next()) : 0));
              const strides = (of: number[]): number[] => of.map((_, i) => size(of.slice(i + 1)));
              const at = (index: number): number => {
                if (axis < 0) return 0;
                const places = strides(dims).map((stride, i) => Math.floor(index / stride) % dims[i]!);
                if (block === 0) return places[axis]!;
                places[axis] = Math.floor(places[axis]! / block);
                return places.reduce((sum, place, i) => sum + place * strides(scale.dims)[i]!, 0);
              };
              const x = Float32Array.from(uniform(next, size(dims), -1.2, 1.2));
              const g = Float32Array.from(uniform(next, size(dims)));
              const attributes = {
                ...(axis < 0 ? {} : { axis }),
                ...(block === 0 ? {} : { block_size: block }),
              };
              const graph = fake(
                ["batch", ...dims.slice(1)],
                scale,
                points ? middle : null,
                elemType,
                attributes,
              );
              if (!points)
                for (const quantize of graph.nodes.filter(({ opType }) => opType === "QuantizeLinear"))
                  quantize.attributes.set("output_dtype", makeAttribute("output_dtype", named.output_dtype!));
              const got = await vjp(graph, { x: feed(dims, x), grad_y: feed(dims, g) });
              const [y, gradient] = [new Float64Array(x.length), new Float64Array(x.length)];
              for (let i = 0; i < x.length; i++) {
                const [s, z] = [scale.data[at(i)]!, middle[at(i)]!];
                const step = Math.round(Math.fround(x[i]! / s)) + z;
                gradient[i] = step >= low && step <= high ? g[i]! : 0;
                y[i] = (Math.min(Math.max(step, low), high) - z) * s;
              }
              const what = `${JSON.stringify(dims)} axis ${axis} block ${block}`;
              // With sixteen bits the quotient itself may be rounded to the other side.
              const off = high - low > 255 ? Math.max(...scale.data) : 0;
              assertClose(got["y"]!.data, y, 1e-5 + off, `y ${what}`);
              assertClose(got["grad_x"]!.data, gradient, 1e-5, `gradient ${what}`);
            }
      });

  it("is that of straight lines in a network", async () => {
    for (const batch of [1, 3]) {
      const next = random(7 + batch);
      const dims = [batch, 6];
      const x = uniform(next, size(dims), -1.5, 1.5);
      const first = [...uniform(next, 60)].map((v) => Math.round(60 * v));
      const second = [...uniform(next, 30)].map((v) => Math.round(60 * v));
      const columns = [...uniform(next, 10, 0.004, 0.02)].map(Math.fround);
      const [step, point, inner] = [Math.fround(1 / 110), 120, Math.fround(1 / 180)];
      const b = new Builder(emptyGraph("network"));
      const through = (value: string, s: number, z: number, elemType: number): string => {
        const pair = [b.constant([s], [], FLOAT), b.constant([z], [], elemType)];
        return b.op("DequantizeLinear", [b.op("QuantizeLinear", [value, ...pair]), ...pair]);
      };
      const input = through(b.input("x", FLOAT, ["batch", 6]), step, point, UINT8);
      const scales = b.constant(columns, [10], FLOAT);
      const weights = b.op("DequantizeLinear", [b.constant(first, [6, 10], INT8), scales], { axis: 1 });
      const hidden = through(b.op("Tanh", [b.op("MatMul", [input, weights])]), inner, 0, INT8);
      const rows = b.op("DequantizeLinear", [
        b.constant(second, [3, 10], INT8),
        b.constant([0.01], [], FLOAT),
      ]);
      b.output("y", b.op("Gemm", [b.op("Add", [hidden, b.op("Sigmoid", [hidden])]), rows], { transB: 1 }));
      const g = uniform(next, batch * 3);
      const got = await vjp(b.graph, { x: feed(dims, x), grad_y: feed([batch, 3], g) });

      // The same in float64. `lines` are what quantisers have made of the input; without them they round.
      type Line = { from: number; to: number; inside: boolean };
      const program = (at: ArrayLike<number>, lines: Line[] | null, made: Line[]): number[] => {
        const through = (
          value: number,
          s: number,
          z: number,
          [low, high]: readonly [number, number],
        ): number => {
          const line = lines?.[made.length];
          const places = Math.round(value / s) + z;
          const to = (Math.min(Math.max(places, low), high) - z) * s;
          made.push({ from: value, to, inside: places >= low && places <= high });
          return line ? line.to + (line.inside ? value - line.from : 0) : to;
        };
        const y: number[] = [];
        for (let row = 0; row < batch; row++) {
          const taken = Array.from({ length: 6 }, (_, i) => through(at[6 * row + i]!, step, point, [0, 255]));
          const hidden = columns.map((s, j) => {
            const sum = taken.reduce((p, v, i) => p + v * first[10 * i + j]! * s, 0);
            const h = through(Math.tanh(sum), inner, 0, [-128, 127]);
            return h + 1 / (1 + Math.exp(-h));
          });
          for (let k = 0; k < 3; k++)
            y.push(hidden.reduce((p, h, j) => p + h * second[10 * k + j]! * Math.fround(0.01), 0));
        }
        return y;
      };
      const lines: Line[] = [];
      const y = program(x, null, lines);
      assertClose(got["y"]!.data, y, 1e-4, "outputs");
      const loss = (at: ArrayLike<number>): number =>
        program(at, lines, []).reduce((sum, value, i) => sum + value * g[i]!, 0);
      const expected = x.map((_, i) => {
        const moved = (by: number): Float64Array => x.map((value, k) => (k === i ? value + by : value));
        return (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5;
      });
      assertClose(got["grad_x"]!.data, expected, 1e-4, `gradient of ${batch} rows`);
      assert.ok(
        lines.some(({ inside }) => !inside),
        "something is cut off",
      );
    }
  });

  /** An operator on quantised numbers, and the same on real ones. */
  interface Quantised {
    readonly name: string;
    readonly x: number[];
    /** A type for the operand that is differentiated, and the result. Default: signed and unsigned bytes. */
    readonly types?: number[];
    readonly quantised: (b: Builder, q: Operand, t: Tools) => string;
    readonly real: (b: Builder, x: string, t: Tools) => string;
    /** Steps that a result may be away. */
    readonly steps?: number;
  }
  interface Operand {
    readonly value: string;
    readonly scale: string;
    readonly point: string;
  }
  interface Tools {
    readonly elemType: number;
    /** A quantised constant, and its real numbers. */
    weight(dims: number[], axis?: number): Operand & { readonly real: string };
    bias(count: number, scale: string): { readonly value: string; readonly real: string };
    readonly result: { readonly scale: string; readonly point: string };
  }
  const triple = ({ value, scale, point }: Operand): string[] => [value, scale, point];
  const qlinear =
    (opType: string, attributes: Attributes = {}): Quantised["quantised"] =>
    (b, q, t) =>
      node(b, `com.microsoft.${opType}`, [...triple(q), t.result.scale, t.result.point], attributes);
  const both = (opType: string): Quantised => ({
    name: `com.microsoft.QLinear${opType}`,
    x: [2, 3, 4],
    quantised: (b, q, t) =>
      node(b, `com.microsoft.QLinear${opType}`, [
        ...triple(q),
        ...triple(t.weight([3, 1])),
        t.result.scale,
        t.result.point,
      ]),
    real: (b, x, t) => b.op(opType, [x, t.weight([3, 1]).real]),
  });
  const convolution = {
    kernel_shape: [3, 3],
    strides: [2, 1],
    pads: [1, 0, 1, 1],
    dilations: [1, 1],
    group: 2,
  };
  const cases: Quantised[] = [
    {
      name: "QLinearMatMul",
      x: [2, 3, 5],
      quantised: (b, q, t) =>
        b.op("QLinearMatMul", [...triple(q), ...triple(t.weight([5, 4], 1)), t.result.scale, t.result.point]),
      real: (b, x, t) => b.op("MatMul", [x, t.weight([5, 4], 1).real]),
    },
    {
      name: "QLinearConv",
      x: [2, 4, 5, 6],
      quantised: (b, q, t) => {
        const w = t.weight([6, 2, 3, 3], 0);
        const bias = t.bias(6, b.op("Mul", [q.scale, w.scale])).value;
        return b.op(
          "QLinearConv",
          [...triple(q), ...triple(w), t.result.scale, t.result.point, bias],
          convolution,
        );
      },
      real: (b, x, t) => {
        const w = t.weight([6, 2, 3, 3], 0);
        const bias = t.bias(6, b.op("Mul", [b.constant([1 / 100], [], FLOAT), w.scale])).real;
        return b.op("Conv", [x, w.real, bias], convolution);
      },
    },
    both("Add"),
    both("Mul"),
    {
      name: "com.microsoft.QLinearSigmoid",
      x: [3, 4],
      quantised: qlinear("QLinearSigmoid"),
      real: (b, x) => b.op("Sigmoid", [x]),
    },
    {
      name: "com.microsoft.QLinearLeakyRelu",
      x: [3, 4],
      quantised: qlinear("QLinearLeakyRelu", { alpha: 0.2 }),
      real: (b, x) => b.op("LeakyRelu", [x], { alpha: 0.2 }),
    },
    {
      name: "com.microsoft.QLinearSoftmax",
      x: [3, 4],
      quantised: qlinear("QLinearSoftmax", { axis: -1, opset: 13 }),
      real: (b, x) => b.op("Softmax", [x], { axis: -1 }),
      steps: 2,
    },
    {
      name: "com.microsoft.QLinearGlobalAveragePool",
      x: [2, 3, 4, 4],
      quantised: qlinear("QLinearGlobalAveragePool"),
      real: (b, x) => b.op("GlobalAveragePool", [x]),
    },
    {
      name: "com.microsoft.QLinearAveragePool",
      x: [2, 3, 4, 5],
      quantised: qlinear("QLinearAveragePool", { kernel_shape: [2, 3], strides: [1, 2], pads: [0, 1, 1, 1] }),
      real: (b, x) => b.op("AveragePool", [x], { kernel_shape: [2, 3], strides: [1, 2], pads: [0, 1, 1, 1] }),
    },
    {
      name: "com.microsoft.QLinearWhere",
      x: [3, 4],
      quantised: (b, q, t) => {
        const condition = b.constant([1, 0, 1, 1], [4], DataType.BOOL);
        const other = triple(t.weight([3, 1]));
        return node(b, "com.microsoft.QLinearWhere", [
          condition,
          ...triple(q),
          ...other,
          t.result.scale,
          t.result.point,
        ]);
      },
      real: (b, x, t) =>
        b.op("Where", [b.constant([1, 0, 1, 1], [4], DataType.BOOL), x, t.weight([3, 1]).real]),
    },
    {
      name: "com.microsoft.QLinearConcat",
      x: [2, 3],
      quantised: (b, q, t) =>
        node(
          b,
          "com.microsoft.QLinearConcat",
          [t.result.scale, t.result.point, ...triple(t.weight([2, 2])), ...triple(q)],
          { axis: 1 },
        ),
      real: (b, x, t) => b.op("Concat", [t.weight([2, 2]).real, x], { axis: 1 }),
    },
    {
      name: "com.microsoft.QGemm",
      x: [3, 5],
      quantised: (b, q, t) => {
        const w = t.weight([4, 5], 0);
        const bias = t.bias(4, b.op("Mul", [q.scale, w.scale])).value;
        return node(
          b,
          "com.microsoft.QGemm",
          [...triple(q), ...triple(w), bias, t.result.scale, t.result.point],
          {
            transB: 1,
          },
        );
      },
      real: (b, x, t) => {
        const w = t.weight([4, 5], 0);
        const bias = t.bias(4, b.op("Mul", [b.constant([1 / 100], [], FLOAT), w.scale])).real;
        return b.op("Gemm", [x, w.real, bias], { transB: 1 });
      },
    },
  ];

  for (const { name, x: dims, quantised, real, steps = 1 } of cases)
    for (const elemType of [INT8, UINT8])
      it(`goes through ${name} of ${DataType[elemType]}`, async () => {
        const build = (exact: boolean): Graph => {
          const next = random(seedOf(name) + elemType);
          const b = new Builder(emptyGraph("quantised"));
          const point = elemType === INT8 ? 0 : 128;
          const pair = [b.constant([1 / 100], [], FLOAT), b.constant([point], [], elemType)] as const;
          const result = {
            scale: b.constant([1 / 40], [], FLOAT),
            point: b.constant([point + 3], [], elemType),
          };
          const tools: Tools = {
            elemType,
            result,
            weight: (of, axis) => {
              const count = axis === undefined ? [] : [of[axis]!];
              const scale = b.constant(
                [...uniform(next, size(count), 0.004, 0.012)].map(Math.fround),
                count,
                FLOAT,
              );
              const point = b.constant(
                new Array<number>(size(count)).fill(elemType === INT8 ? 0 : 130),
                count,
                elemType,
              );
              const [low, high] = ranges.get(elemType)!;
              const value = b.constant([...uniform(next, size(of), low, high)].map(Math.round), of, elemType);
              return {
                value,
                scale,
                point,
                real: b.op("DequantizeLinear", [value, scale, point], { axis: axis ?? 0 }),
              };
            },
            bias: (count, scale) => {
              const value = b.constant(
                [...uniform(next, count, -5000, 5000)].map(Math.round),
                [count],
                INT32,
              );
              return { value, real: b.op("Mul", [b.op("Cast", [value], { to: FLOAT }), scale]) };
            },
          };
          const q = b.op("QuantizeLinear", [b.input("x", FLOAT, ["batch", ...dims.slice(1)]), ...pair]);
          const made = exact
            ? b.op("QuantizeLinear", [
                real(b, b.op("DequantizeLinear", [q, ...pair]), tools),
                result.scale,
                result.point,
              ])
            : quantised(b, { value: q, scale: pair[0], point: pair[1] }, tools);
          b.output("y", b.op("DequantizeLinear", [made, result.scale, result.point]));
          return b.graph;
        };
        const next = random(seedOf(name));
        const x = uniform(next, size(dims), -2, 2);
        const reference = build(true);
        const { y } = await runGraph(encodeModel(reference), { x: feed(dims, x) });
        const feeds = { x: feed(dims, x), grad_y: feed([...y!.dims], uniform(next, y!.data.length)) };
        const [expected, got] = [await vjp(reference, feeds), await vjp(build(false), feeds)];
        y!.data.forEach((value, i) =>
          assert.ok(
            Math.abs(got["y"]!.data[i]! - value) <= (steps + 0.01) / 40,
            `y[${i}]: ${got["y"]!.data[i]} is not ${value}`,
          ),
        );
        assertClose(got["grad_x"]!.data, expected["grad_x"]!.data, 1e-5, "gradient");
        const values = expected["grad_x"]!.data;
        assert.ok(
          values.some((value) => value !== 0) && values.some((value) => value === 0),
          "part of it is cut off",
        );
      });

  /** Operands that are quantised over the range that they have. */
  const dynamic: Record<
    string,
    {
      dims: number[];
      build: (b: Builder, x: string, weights: number[]) => string;
      real: (b: Builder, x: string, w: string) => string;
      weight: number[];
      attributes?: Attributes;
    }
  > = {
    "DynamicQuantizeLinear and MatMulInteger": {
      dims: [2, 3, 5],
      weight: [5, 4],
      build: (b, x, weights) => {
        const [q, s, z] = b.ops("DynamicQuantizeLinear", [x], 3) as [string, string, string];
        const point = b.constant([1, 2, 3, 4], [4], INT8);
        const product = b.op("MatMulInteger", [q, b.constant(weights, [5, 4], INT8), z, point]);
        return b.op("Mul", [
          b.op("Cast", [product], { to: FLOAT }),
          b.op("Mul", [s, b.constant([0.01], [], FLOAT)]),
        ]);
      },
      real: (b, x, w) =>
        b.op("MatMul", [
          x,
          b.op("Mul", [
            b.op("Sub", [w, b.constant([1, 2, 3, 4], [4], FLOAT)]),
            b.constant([0.01], [], FLOAT),
          ]),
        ]),
    },
    "DynamicQuantizeLinear and ConvInteger": {
      dims: [2, 2, 5, 4],
      weight: [3, 2, 2, 2],
      build: (b, x, weights) => {
        const [q, s, z] = b.ops("DynamicQuantizeLinear", [x], 3) as [string, string, string];
        const product = b.op(
          "ConvInteger",
          [
            q,
            b.constant(
              weights.map((v) => v + 128),
              [3, 2, 2, 2],
              UINT8,
            ),
            z,
            b.constant([128], [], UINT8),
          ],
          { pads: [1, 0, 0, 1] },
        );
        return b.op("Mul", [
          b.op("Cast", [product], { to: FLOAT }),
          b.op("Mul", [s, b.constant([0.01], [], FLOAT)]),
        ]);
      },
      real: (b, x, w) =>
        b.op("Conv", [x, b.op("Mul", [w, b.constant([0.01], [], FLOAT)])], { pads: [1, 0, 0, 1] }),
    },
    "com.microsoft.DynamicQuantizeMatMul": {
      dims: [3, 5],
      weight: [5, 4],
      build: (b, x, weights) =>
        node(b, "com.microsoft.DynamicQuantizeMatMul", [
          x,
          b.constant(weights, [5, 4], INT8),
          b.constant([0.01, 0.02, 0.01, 0.03], [4], FLOAT),
          b.constant([0, 0, 0, 0], [4], INT8),
          b.constant([1, 2, 3, 4], [4], FLOAT),
        ]),
      real: (b, x, w) =>
        b.op("Add", [
          b.op("MatMul", [x, b.op("Mul", [w, b.constant([0.01, 0.02, 0.01, 0.03], [4], FLOAT)])]),
          b.constant([1, 2, 3, 4], [4], FLOAT),
        ]),
    },
    "com.microsoft.MatMulIntegerToFloat": {
      dims: [3, 5],
      weight: [5, 4],
      build: (b, x, weights) => {
        const [q, s, z] = b.ops("DynamicQuantizeLinear", [x], 3) as [string, string, string];
        return node(b, "com.microsoft.MatMulIntegerToFloat", [
          q,
          b.constant(weights, [5, 4], INT8),
          s,
          b.constant([0.01], [], FLOAT),
          z,
          b.constant([0], [], INT8),
        ]);
      },
      real: (b, x, w) => b.op("MatMul", [x, b.op("Mul", [w, b.constant([0.01], [], FLOAT)])]),
    },
  };
  for (const [name, { dims, weight, build, real }] of Object.entries(dynamic))
    it(`goes through ${name}`, async () => {
      const next = random(seedOf(name));
      const weights = [...uniform(next, size(weight), -120, 120)].map(Math.round);
      const x = uniform(next, size(dims), -2, 1);
      const graph = (f: (b: Builder, x: string) => string): Graph => {
        const b = new Builder(emptyGraph("dynamic"));
        b.output("y", f(b, b.input("x", FLOAT, ["batch", ...dims.slice(1)])));
        return b.graph;
      };
      const reference = graph((b, x) => real(b, x, b.constant(weights, weight, FLOAT)));
      const { y } = await runGraph(encodeModel(reference), { x: feed(dims, x) });
      const feeds = { x: feed(dims, x), grad_y: feed([...y!.dims], uniform(next, y!.data.length)) };
      const [expected, got] = [
        await vjp(reference, feeds),
        await vjp(
          graph((b, x) => build(b, x, weights)),
          feeds,
        ),
      ];
      assertClose(got["grad_x"]!.data, expected["grad_x"]!.data, 1e-5, "gradient");
      assertClose(got["y"]!.data, y!.data, 2e-2, "y");
    });

  it("is refused by name without the option, which the message gives", () => {
    const graph = fake(["batch", 3], { dims: [], data: [0.1] }, [0], INT8);
    const message =
      /QuantizeLinear node .* passes no gradient on to "x": .*rounded.*straightThrough: true \(--straight-through\)/;
    assert.throws(() => differentiateGraph(graph), { code: "ERR_NO_GRADIENT", message });
    const [path] = gradientPaths(graph);
    assert.equal(path!.kind, "stopped");
    assert.match(path!.message, /QuantizeLinear node .*straightThrough: true/);
    assert.equal(gradientPaths(graph, { straightThrough: true })[0]!.kind, "gradient");
    // Beside a path that is not quantised, too: half a gradient is none.
    const b = new Builder(emptyGraph("beside"));
    const x = b.input("x", FLOAT, ["batch", 3]);
    const pair = [b.constant([0.1], [], FLOAT), b.constant([0], [], INT8)];
    b.output(
      "y",
      b.op("Add", [x, b.op("DequantizeLinear", [b.op("QuantizeLinear", [x, ...pair]), ...pair])]),
    );
    assert.throws(() => differentiateGraph(b.graph), { code: "ERR_NO_GRADIENT", message });
  });

  it("goes through Round and whole numbers, but not through what they index", async () => {
    const b = new Builder(emptyGraph("whole"));
    const x = b.input("x", FLOAT, ["batch", 3]);
    const rounded = b.op("Round", [x]);
    const limited = b.op("Clip", [
      b.op("Round", [b.op("Mul", [x, b.scalar(100, x)])]),
      b.scalar(0, x),
      b.scalar(255, x),
    ]);
    const bytes = b.op("Transpose", [b.op("Cast", [limited], { to: UINT8 })], { perm: [1, 0] });
    const back = b.op("Transpose", [b.op("Cast", [bytes], { to: FLOAT })], { perm: [1, 0] });
    const index = b.op("Cast", [b.op("Clip", [x, b.scalar(0, x), b.scalar(2, x)])], { to: DataType.INT64 });
    const picked = b.op("Gather", [b.constant([5, 6, 7], [3], FLOAT), index]);
    b.output("y", b.op("Sum", [rounded, back, picked]));
    const got = await vjp(b.graph, {
      x: feed([2, 3], [-0.3, 0.2, 2.4, 2.6, 1.5, 0]),
      grad_y: feed([2, 3], [1, 2, 3, 4, 5, 6]),
    });
    assertClose(got["grad_x"]!.data, [1, 202, 303, 4, 505, 606], 1e-6, "gradient");
    assert.throws(() => differentiateGraph(decodeModel(encodeModel(b.graph))), {
      code: "ERR_NO_GRADIENT",
      message:
        /Round node .* is constant almost everywhere;.* int64 of it\. Load the model with straightThrough: true/,
    });
    // What is an index stays one.
    const c = new Builder(emptyGraph("index"));
    const places = c.op("Cast", [c.input("x", FLOAT, ["batch"])], { to: DataType.INT64 });
    c.output("y", c.op("Gather", [c.constant([5, 6, 7], [3], FLOAT), places]));
    const turned = /^no path .*Cast node .* makes int64 of it$/;
    assert.throws(() => differentiateGraph(c.graph), { code: "ERR_NO_GRADIENT", message: turned });
  });
});
