/** Stages that move numbers, cut and pad: held to their definitions on random shapes, and to finite differences. */
import assert from "node:assert/strict";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { chainOf } from "../../lib/objective/chain.js";
import { stageGraph } from "../../lib/objective/stage-graphs.js";
import { stages } from "../../lib/objective/stages/index.js";
import { stage, type PadMode, type Stage } from "../../lib/index.js";
import {
  Builder,
  DataType,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  type Graph,
} from "../../lib/onnx/index.js";
import { numbers, random } from "../support/numbers.js";
import { bits, close, rejects } from "../support/tiny.js";

type Shape = readonly number[];
interface Rows {
  readonly data: Float32Array;
  readonly shape: Shape;
}

/** No encoder that wants anything. */
const anywhere = { input: [null], augmented: false };

const size = (shape: Shape): number => shape.reduce((p, q) => p * q, 1);

async function run(graph: Graph, feeds: Record<string, Rows>): Promise<Record<string, Rows>> {
  const session = await InferenceSession.create(encodeModel(graph), { logSeverityLevel: 3 });
  const tensors = Object.entries(feeds).map(
    ([name, { data, shape }]) => [name, new OrtTensor("float32", data, [...shape])] as const,
  );
  const results = await session.run(Object.fromEntries(tensors));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data, dims }]) => [
      name,
      { data: data as Float32Array, shape: dims },
    ]),
  );
}

/** Where a place of the result comes from: the place in a row, or a number. */
type Source = (at: number[]) => number[] | number;

/** A row made by its definition, place by place. */
function expected(row: Float32Array, from: Shape, to: Shape, source: Source): number[] {
  return Array.from({ length: size(to) }, (_, index) => {
    const at = to.map((length, axis) => Math.floor(index / size(to.slice(axis + 1))) % length);
    const place = source(at);
    if (typeof place === "number") return place;
    return row[place.reduce((sum, k, axis) => sum * from[axis]! + k, 0)]!;
  });
}

interface Case {
  readonly made: Stage;
  readonly from: Shape;
  readonly to: Shape;
  readonly source: Source;
}

/** Random shapes and settings, odd sizes and sizes of 1 among them. */
function randomCase(kind: string, next: () => number): Case {
  const whole = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  if (kind === "transpose") {
    const from = Array.from({ length: whole(1, 5) }, () => whole(1, 5));
    const order = from.map((_, axis) => axis);
    for (let i = order.length - 1; i > 0; i--) {
      const j = whole(0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    const source: Source = (at) => from.map((_, axis) => at[order.indexOf(axis)]!);
    return { made: stage.transpose(order), from, to: order.map((axis) => from[axis]!), source };
  }
  if (kind === "reshape") {
    const parts = Array.from({ length: 4 }, () => whole(1, 4));
    const [a, b, c, d] = parts as [number, number, number, number];
    const [from, to] = [
      [a * b, c * d],
      [d, a, b * c],
    ];
    const shape: number[] = [...to];
    const open = whole(0, 3);
    if (open < 3) shape[open] = -1;
    const source: Source = (at) => {
      const index = at.reduce((sum, k, axis) => sum * to[axis]! + k, 0);
      return [Math.floor(index / from[1]!), index % from[1]!];
    };
    return { made: stage.reshape(shape), from, to, source };
  }
  if (kind === "channels") {
    const from = [whole(1, 4), ...Array.from({ length: whole(0, 3) }, () => whole(1, 3))];
    const order = Array.from({ length: whole(1, 5) }, () => whole(0, from[0]! - 1));
    return {
      ...{ made: stage.channels(order), from, to: [order.length, ...from.slice(1)] },
      source: ([channel, ...rest]) => [order[channel!]!, ...rest],
    };
  }
  // Planes of images and films, the last of which are no channels.
  const from = [...Array.from({ length: whole(1, 2) }, () => whole(1, 3)), whole(2, 9), whole(5, 9)];
  const lead = from.slice(0, -2);
  const [height, width] = from.slice(-2) as [number, number];
  if (kind === "crop") {
    const [h, w] = [whole(1, height), whole(1, width)];
    const middle = next() < 0.5;
    const [top, left] = middle
      ? [Math.floor((height - h) / 2), Math.floor((width - w) / 2)]
      : [whole(0, height - h), whole(0, width - w)];
    return {
      made: stage.crop({ height: h, width: w, ...(middle ? {} : { top, left }) }),
      ...{ from, to: [...lead, h, w] },
      source: (at) => [...at.slice(0, -2), at.at(-2)! + top, at.at(-1)! + left],
    };
  }
  const mode = (["constant", "reflect", "edge"] as const)[whole(0, 2)] as PadMode;
  const most = mode === "reflect" ? 1 : 3;
  const pads = { top: whole(0, most), right: whole(0, most), bottom: whole(0, most), left: whole(1, most) };
  const value = mode === "constant" ? next() : 0;
  const inside = (k: number, length: number): number | null => {
    if (k >= 0 && k < length) return k;
    if (mode === "constant") return null;
    if (mode === "edge") return Math.min(Math.max(k, 0), length - 1);
    return k < 0 ? -k : 2 * (length - 1) - k;
  };
  return {
    made: stage.pad(pads, { mode, value }),
    ...{ from, to: [...lead, pads.top + height + pads.bottom, pads.left + width + pads.right] },
    source: (at) => {
      const [y, x] = [inside(at.at(-2)! - pads.top, height), inside(at.at(-1)! - pads.left, width)];
      return y === null || x === null ? Math.fround(value) : [...at.slice(0, -2), y, x];
    },
  };
}

describe("stages that move, cut and pad", () => {
  for (const kind of ["transpose", "reshape", "channels", "crop", "pad"])
    it(`${kind}: is its definition for any shape and batch, and so is its gradient`, async () => {
      const next = random(kind.length);
      for (let round = 0; round < 25; round++) {
        const { made, from, to, source } = randomCase(kind, next);
        const what = `${JSON.stringify(made)} of [${from.join()}]`;
        assert.deepEqual(stages.of(made).shape!(made, from), to, what);
        const n = round % 3 === 0 ? 1 : 2;
        const batch = round % 2 === 0 ? "batch" : n;
        const graph = stageGraph(made, [batch, ...from]);
        const image = { data: numbers(round, n * size(from)), shape: [n, ...from] };
        const rows = Array.from({ length: n }, (_, i) =>
          image.data.subarray(i * size(from), (i + 1) * size(from)),
        );
        const { staged } = await run(graph, { image });
        assert.deepEqual(staged!.shape, [n, ...to], what);
        const wanted = rows.flatMap((row) => expected(row, from, to, source));
        assert.equal(bits(staged!.data), bits(Float32Array.from(wanted)), what);
        // Each number of a row gets the sum of the weights where it stands in the result.
        const weights = { data: numbers(99 + round, n * size(to)), shape: [n, ...to] };
        const gradient = differentiateGraph(graph, { wrt: ["image"] });
        const { grad_image: got } = await run(gradient, { image, grad_staged: weights });
        const sums = new Float64Array(n * size(from));
        const places = Float32Array.from({ length: size(from) }, (_, i) => i);
        const filled = made.kind === "pad" && made.mode === "constant";
        const from_ = expected(places, from, to, (at) => {
          const place = source(at);
          return filled && typeof place === "number" ? -1 : place;
        });
        weights.data.forEach((w, i) => {
          const place = from_[i % size(to)]!;
          if (place >= 0) sums[Math.floor(i / size(to)) * size(from) + place]! += w;
        });
        close(got!.data, sums, 1e-5, `gradient of ${what}`);
      }
    });

  it("have gradients that agree with finite differences, one behind the other", async () => {
    const chain = [
      stage.reshape([5, 7, 3]),
      stage.transpose([2, 0, 1]),
      stage.channels([2, 1, 0, 0]),
      stage.pad({ top: 2, left: 1 }, { mode: "reflect" }),
      stage.crop({ height: 5, width: 5 }),
      stage.affine(0.5, 0.25),
    ];
    const links = await chainOf(chain, { row: [105], ...anywhere });
    assert.deepEqual(links.at(-1)!.to, [4, 5, 5]);
    const apply = async (data: Float32Array): Promise<Float32Array> => {
      let rows: Rows = { data, shape: [1, 105] };
      for (const { stage: item, from } of links)
        rows = (await run(stageGraph(item, ["batch", ...from]), { image: rows }))["staged"]!;
      return rows.data;
    };
    const x = numbers(3, 105);
    const weights = numbers(4, 100);
    let cotangent: Rows = { data: weights, shape: [1, 4, 5, 5] };
    for (const { stage: item, from } of [...links].reverse()) {
      const gradient = differentiateGraph(stageGraph(item, ["batch", ...from]), { wrt: ["image"] });
      const image = { data: new Float32Array(size(from)), shape: [1, ...from] };
      cotangent = (await run(gradient, { image, grad_staged: cotangent }))["grad_image"]!;
    }
    const h = 1e-2;
    for (const i of [0, 1, 20, 52, 77, 104]) {
      const at = async (d: number): Promise<number> => {
        const moved = Float32Array.from(x);
        moved[i]! += d;
        return (await apply(moved)).reduce((sum, y, j) => sum + y * weights[j]!, 0);
      };
      close([cotangent.data[i]!], [((await at(h)) - (await at(-h))) / (2 * h)], 1e-3, `at ${i}`);
    }
  });

  it("normalize by channel takes rows of any rank", async () => {
    for (const from of [[2], [2, 5], [2, 1, 3, 2]]) {
      const made = stage.normalize([1, 2], [2, 4]);
      const image = { data: numbers(1, 3 * size(from)), shape: [3, ...from] };
      const { staged } = await run(stageGraph(made, ["batch", ...from]), { image });
      const inner = size(from.slice(1));
      const wanted = Array.from(image.data, (x, i) =>
        Math.floor(i / inner) % 2 === 0 ? (x - 1) / 2 : (x - 2) / 4,
      );
      close(staged!.data, wanted, 1e-6);
    }
  });

  it("say what they take where a row is something else", async () => {
    const bad: [Stage, Shape, RegExp][] = [
      [
        stage.transpose([1, 0]),
        [3, 4, 4],
        /stage.transpose expected rows of 2 axes behind the batch, got \[batch, 3, 4, 4\]/,
      ],
      [
        stage.reshape([3, 5]),
        [16],
        /stage.reshape expected rows of 15 numbers, for the shape \[3, 5\], got \[batch, 16\]/,
      ],
      [stage.reshape([3, -1]), [16], /rows of a multiple of 3 numbers/],
      [stage.channels([2, 1, 0]), [1, 4, 4], /stage.channels expected rows \[batch, 3 channels or more, …\]/],
      [stage.crop({ height: 5, width: 2 }), [1, 4, 8], /of at least 5 × 2 pixels, got \[batch, 1, 4, 8\]/],
      [stage.crop({ height: 2, width: 2, top: 3, left: 0 }), [1, 4, 8], /at least 5 × 2/],
      [stage.crop({ height: 2, width: 2 }), [7], /stage.crop expected images .* or films/],
      [stage.pad(4, { mode: "reflect" }), [1, 4, 8], /larger than what is reflected of them/],
      [stage.pad(4), [16], /stage.pad expected images/],
      [
        stage.resize(4, 4),
        [16, 100],
        /stage.resize expected images \[batch, channels, height, width\], got \[batch, 16, 100\]/,
      ],
      [stage.grayscale(), [16], /stage.grayscale expected images \[batch, 1 or 3, height, width\]/],
      [stage.normalize([1, 2], 1), [3, 4, 4], /stage.normalize expected rows \[batch, 2, …\]/],
    ];
    for (const [made, row, message] of bad)
      await rejects(chainOf([stage.affine(2), made], { row, ...anywhere }), "ERR_SHAPE_MISMATCH", message);
    await rejects(
      chainOf([stage.affine(2), stage.pad(1)], { row: [7], ...anywhere }),
      "ERR_SHAPE_MISMATCH",
      /^preprocess\[1\]: /,
    );
  });
});

describe("stages of a caller", () => {
  /** A model of one input "x" and one output. */
  function model(
    build: (b: Builder, x: string) => string,
    dims: (string | number)[] = ["n", 6],
    elemType: number = DataType.FLOAT,
  ): Uint8Array {
    const b = new Builder(emptyGraph("own"));
    b.output("y", build(b, b.input("x", elemType, dims)));
    return encodeModel(b.graph);
  }
  const halves = (b: Builder, x: string): string => b.reshape(b.op("Sin", [x]), [-1, 2, 3]);
  const own = (bytes: Uint8Array, row: Shape = [6]) => chainOf([stage.fromOnnx(bytes)], { row, ...anywhere });

  it("give rows of what shape their model makes, and have its gradient", async () => {
    const [link] = await own(model(halves));
    assert.deepEqual(link!.to, [2, 3]);
    assert.equal(link!.stop, null);
    const graph = stageGraph(link!.stage, ["batch", 6]);
    const image = { data: numbers(1, 12), shape: [2, 6] };
    const { staged } = await run(graph, { image });
    close(staged!.data, image.data.map(Math.sin), 1e-6);
    const gradient = differentiateGraph(graph, { wrt: ["image"] });
    const ones = { data: new Float32Array(12).fill(1), shape: [2, 2, 3] };
    close(
      (await run(gradient, { image, grad_staged: ones }))["grad_image"]!.data,
      image.data.map(Math.cos),
      1e-6,
    );
  });

  it("whose model stops the gradient say so", async () => {
    const [link] = await own(model((b, x) => b.op("Round", [x])));
    assert.match(link!.stop!.message, /stage.fromOnnx.*Round/s);
  });

  it("are refused where their model is none for rows", async () => {
    const two = new Builder(emptyGraph("two"));
    two.output("y", two.op("Add", [two.input("x", 1, ["n", 6]), two.input("w", 1, ["n", 6])]));
    const mean = (b: Builder, x: string): string => b.op("Sub", [x, b.op("ReduceMean", [x, b.ints([0])])]);
    const noise = (b: Builder, x: string): string => b.op("Add", [x, b.op("RandomNormalLike", [x])]);
    const name = /^preprocess\[0\]: stage.fromOnnx: /;
    for (const [bytes, code, message] of [
      [encodeModel(two.graph), "ERR_INVALID_ARGUMENT", /one input and one output, got 2 and 1/],
      [model((_, x) => x, ["n", 6], DataType.INT32), "ERR_MODEL_UNSUPPORTED", /"x" to be float32, got int32/],
      [model(halves, ["n", 5]), "ERR_SHAPE_MISMATCH", /6.*5|5.*6/],
      [model(halves, [1, 6]), "ERR_SHAPE_MISMATCH", /batch|2/],
      [model(mean), "ERR_MODEL_UNSUPPORTED", /depends on the other rows/],
      [model(noise), "ERR_MODEL_UNSUPPORTED", /draws random numbers/],
      [
        model((b, x) => b.reshape(x, [-1])),
        "ERR_SHAPE_MISMATCH",
        /expected \[2, …\] of its model for 2 rows/,
      ],
      [Uint8Array.of(1, 2, 3), "ERR_MODEL_INVALID", /./],
    ] as const)
      assert.match((await rejects(own(bytes), code, message)).message, name);
  });
});
