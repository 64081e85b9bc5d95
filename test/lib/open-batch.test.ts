/** Models exported for one number of rows: opened where the rows stay what they are. */
import assert from "node:assert/strict";
import {
  augmentation,
  evaluate,
  sampler,
  tensor,
  Tr0n,
  type Tensor,
  type Tr0nOptions,
} from "../../lib/index.js";
import { runJob } from "../../lib/native/job.js";
import type { OnnxModel } from "../../lib/model/model.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { keeper } from "../support/keeper.js";
import { close } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const { keep, load, closeAll } = keeper();

type Make = (b: Builder, x: string, rows: number) => string;

/** x [rows, 6, 4] → y, exported for that many rows. */
function exported(make: Make, rows: number): Uint8Array {
  const b = new Builder(emptyGraph("fixed"));
  const x = b.input("x", DataType.FLOAT, [rows, 6, 4]);
  b.output("y", make(b, x, rows));
  return encodeModel(b.graph);
}

const weights = (b: Builder, seed: number, dims: number[]): string =>
  b.constant(
    numbers(
      seed,
      dims.reduce((p, q) => p * q, 1),
    ),
    dims,
    DataType.FLOAT,
  );

/** The same numbers for every row. */
const repeated = (b: Builder, seed: number, rows: number, row: number[]): string => {
  const one = numbers(
    seed,
    row.reduce((p, q) => p * q, 1),
  );
  const all = Float32Array.from({ length: rows * one.length }, (_, i) => one[i % one.length]!);
  return b.constant(all, [rows, ...row], DataType.FLOAT);
};

const reshape = (b: Builder, x: string, sizes: number[]): string =>
  b.op("Reshape", [x, b.constant(sizes, [sizes.length], DataType.INT64)]);

/** Rows as their numbers in a row, then a layer: so that rows that are mixed up show. */
const layer = (b: Builder, x: string, rows: number, size: number): string =>
  b.op("Tanh", [b.op("MatMul", [reshape(b, x, [rows, size]), weights(b, 99, [size, 5])])]);

const opened: [string, Make][] = [
  ["reshapes that name it", (b, x, n) => layer(b, reshape(b, x, [n, 3, 8]), n, 24)],
  ["reshapes whose last size is open", (b, x, n) => layer(b, reshape(b, x, [n, -1]), n, 24)],
  [
    "heads of attention behind it",
    (b, x, n) => {
      const heads = (seed: number): string => {
        const values = b.op("MatMul", [x, weights(b, seed, [4, 4])]);
        const split = b.op("Transpose", [reshape(b, values, [n, 6, 2, 2])], { perm: [0, 2, 1, 3] });
        return reshape(b, split, [n * 2, 6, 2]);
      };
      const [q, k, v] = [heads(1), heads(2), heads(3)];
      const scores = b.op("MatMul", [q, b.op("Transpose", [k], { perm: [0, 2, 1] })]);
      const mixed = reshape(b, b.op("MatMul", [b.op("Softmax", [scores], { axis: -1 }), v]), [n, 2, 6, 2]);
      return layer(b, b.op("Transpose", [mixed], { perm: [0, 2, 1, 3] }), n, 24);
    },
  ],
  [
    "steps before it, and merged with it",
    (b, x, n) => {
      const first = b.op("Transpose", [x], { perm: [1, 0, 2] });
      const merged = b.op("MatMul", [reshape(b, first, [6 * n, 4]), weights(b, 4, [4, 4])]);
      const apart = b.op("Transpose", [reshape(b, b.op("Tanh", [merged]), [6, n, 4])], { perm: [1, 0, 2] });
      return layer(b, apart, n, 24);
    },
  ],
  [
    "groups of channels",
    (b, x, n) => layer(b, b.op("LogSoftmax", [reshape(b, x, [n, 2, -1])], { axis: -1 }), n, 24),
  ],
  [
    "a constant with a row for each",
    (b, x, n) => layer(b, b.op("Mul", [x, repeated(b, 5, n, [6, 4])]), n, 24),
  ],
  [
    "a token in front of every row",
    (b, x, n) => layer(b, b.op("Concat", [repeated(b, 6, n, [1, 4]), x], { axis: 1 }), n, 28),
  ],
  [
    "a token that is expanded",
    (b, x, n) => {
      const token = b.op("Expand", [weights(b, 6, [1, 1, 4]), b.constant([n, 1, 4], [3], DataType.INT64)]);
      return layer(b, b.op("Concat", [token, x], { axis: 1 }), n, 28);
    },
  ],
  [
    "a token that is tiled",
    (b, x, n) => {
      const token = b.op("Tile", [weights(b, 6, [1, 6, 4]), b.constant([n, 1, 1], [3], DataType.INT64)]);
      return layer(b, b.op("Add", [token, x]), n, 24);
    },
  ],
  [
    "zeros of its size",
    (b, x, n) => {
      const zeros = b.op("ConstantOfShape", [b.constant([n, 2, 4], [3], DataType.INT64)]);
      return layer(b, b.op("Concat", [x, zeros], { axis: 1 }), n, 32);
    },
  ],
  [
    "a slice of all rows",
    (b, x, n) => {
      const ints = (...values: number[]): string => b.constant(values, [values.length], DataType.INT64);
      return layer(b, b.op("Slice", [x, ints(0, 1), ints(n, 5), ints(0, 1)]), n, 16);
    },
  ],
  [
    "sizes of a resize",
    (b, x, n) => {
      const image = reshape(b, x, [n, 2, 3, 4]);
      const sizes = b.constant([n, 2, 6, 8], [4], DataType.INT64);
      return layer(b, b.op("Resize", [image, null, null, sizes], { mode: "nearest" }), n, 96);
    },
  ],
  ["matrices for each row", (b, x, n) => layer(b, b.op("MatMul", [repeated(b, 7, n, [5, 6]), x]), n, 20)],
];

describe("a batch that an export fixed", () => {
  afterEach(closeAll);

  /** Rows `first` … of the original, in its batches. */
  async function original(model: OnnxModel, x: Tensor, rows: number): Promise<Float32Array> {
    const parts: number[] = [];
    for (let at = 0; at < x.shape[0]!; at += rows) {
      const data = new Float32Array(rows * 24);
      data.set(x.data.subarray(at * 24, (at + rows) * 24));
      parts.push(...(await model.run(tensor(data, [rows, 6, 4])))["y"]!.data);
    }
    return Float32Array.from(parts);
  }

  for (const [what, make] of opened)
    for (const rows of [1, 4])
      it(`of ${rows} is opened with ${what}`, async () => {
        const model = (await load(exported(make, rows))) as OnnxModel;
        const any = await model.adapted({ openBatch: rows });
        assert.equal(any.inputs[0]!.shape[0], null);
        assert.equal(await any.adapted({ openBatch: rows }), await any.adapted({ openBatch: rows }));
        for (const count of [1, 3, 9]) {
          const x = tensor(numbers(20 + count, count * 24), [count, 6, 4]);
          const got = (await any.run(x))["y"]!;
          assert.deepEqual(got.shape, [count, 5]);
          close(got.data, (await original(model, x, rows)).subarray(0, count * 5), 1e-6);
        }
        const x = tensor(numbers(30, rows * 24), [rows, 6, 4]);
        const seed = tensor(numbers(31, rows * 5), [rows, 5]);
        const [p, q] = [await any.vjp(x, seed), await model.vjp(x, seed)];
        close(p.gradients["x"]!.data, q.gradients["x"]!.data, 1e-6);
        assert.equal(await any.fingerprint(), await model.fingerprint());
      });

  it("and models that were adapted end with the model that was loaded", async () => {
    const model = (await load(exported(opened[0]![1], 4))) as OnnxModel;
    const any = await model.adapted({ openBatch: 4 });
    const x = tensor(numbers(1, 48), [2, 6, 4]);
    await any.run(x);
    model.dispose();
    await assert.rejects(any.run(x), { code: "ERR_DISPOSED" });
  });
});

describe("batches that cannot be opened", () => {
  afterEach(closeAll);

  /** Modulated convolution as StyleGAN2 exports it: a group of channels for every row, and so a batch in an attribute. */
  function generator(rows: number | "batch"): Uint8Array {
    const b = new Builder(emptyGraph("g"));
    const z = b.input("z", DataType.FLOAT, [rows, 6]);
    const n = rows === "batch" ? 1 : rows;
    const image = reshape(b, b.op("MatMul", [z, weights(b, 1, [6, 32])]), [-1, 2, 4, 4]);
    const style = b.op("MatMul", [z, weights(b, 2, [6, 2])]);
    const kernel = weights(b, 3, [3, 2, 1, 1]);
    if (rows === "batch") {
      // The same by scaling what comes in.
      const scaled = b.op("Mul", [
        image,
        b.op("Unsqueeze", [style, b.constant([2, 3], [2], DataType.INT64)]),
      ]);
      b.output("image", b.op("Tanh", [b.op("Conv", [scaled, kernel])]));
    } else {
      const modulated = b.op("Mul", [
        reshape(b, style, [n, 1, 2, 1, 1]),
        b.op("Unsqueeze", [kernel, b.constant([0], [1], DataType.INT64)]),
      ]);
      const grouped = b.op(
        "Conv",
        [reshape(b, image, [1, n * 2, 4, 4]), reshape(b, modulated, [n * 3, 2, 1, 1])],
        {
          group: n,
        },
      );
      b.output("image", b.op("Tanh", [reshape(b, grouped, [n, 3, 4, 4])]));
    }
    b.graph.outputs[0]!.dims = [rows, 3, 4, 4];
    return encodeModel(b.graph);
  }

  /** images [rows, 3, 4, 4] → logits [rows, 4], as sums by a product that mixes all rows' channels if there are others. */
  function encoder(rows: number | "batch"): Uint8Array {
    const b = new Builder(emptyGraph("f"));
    const x = b.input("x", DataType.FLOAT, [rows, 3, 4, 4]);
    const n = rows === "batch" ? 1 : rows;
    const kernel = weights(b, 4, [5, 3, 3, 3]);
    const seen =
      rows === "batch"
        ? b.op("Conv", [x, kernel], { pads: [1, 1, 1, 1] })
        : b.op(
            "Conv",
            [
              reshape(b, x, [1, n * 3, 4, 4]),
              b.op("Reshape", [
                b.op("Expand", [
                  b.op("Unsqueeze", [kernel, b.constant([0], [1], DataType.INT64)]),
                  b.constant([n, 5, 3, 3, 3], [5], DataType.INT64),
                ]),
                b.constant([n * 5, 3, 3, 3], [4], DataType.INT64),
              ]),
            ],
            { pads: [1, 1, 1, 1], group: n },
          );
    const flat = b.op("Reshape", [
      b.op("Tanh", [seen]),
      b.constant([n === 1 ? -1 : n, 80], [2], DataType.INT64),
    ]);
    b.output("logits", b.op("MatMul", [flat, weights(b, 5, [80, 4])]));
    b.graph.outputs[0]!.dims = [rows, 4];
    return encodeModel(b.graph);
  }

  async function create(
    g: number | "batch",
    f: number | "batch",
    options: Partial<Tr0nOptions> = {},
  ): Promise<{ tr0n: Tr0n; told: string[] }> {
    const told: string[] = [];
    const tr0n = await Tr0n.create({
      generator: await load(generator(g)),
      encoder: await load(encoder(f)),
      encoderKind: "logits",
      generatorRange: [-1, 1],
      onDecision: ({ option, value }) => void told.push(`${option}: ${value}`),
      ...options,
    });
    return { tr0n: keep(tr0n), told };
  }

  const count = 13;
  const latents = numbers(7, count * 6);
  const conditions = Float32Array.from({ length: count * 4 }, (_, i) => (i % 4 === i % 3 ? 0.5 : 0.25));

  async function evaluated(
    tr0n: Tr0n,
    n = count,
    first = 0,
  ): Promise<{ energies: Float32Array; gradients: Float32Array }> {
    const objective = await tr0n.objective.native(true);
    return runJob("test", undefined, () =>
      objective.evaluate(
        latents.slice(first * 6, (first + n) * 6),
        conditions.slice(first * 4, (first + n) * 4),
        n,
      ),
    );
  }

  const pairs: [number | "batch", number | "batch"][] = [
    [10, 4],
    [4, 10],
    [3, "batch"],
    ["batch", 3],
    [1, 7],
    [5, 5],
  ];
  for (const [g, f] of pairs)
    it(`of ${g} in the generator and ${f} in the encoder work together`, async () => {
      const right = await evaluated((await create("batch", "batch")).tr0n);
      const { tr0n, told } = await create(g, f);
      const got = await evaluated(tr0n);
      close(got.energies, right.energies, 1e-5);
      close(got.gradients, right.gradients, 1e-5);
      // Whatever else is in the batch, and however many there are.
      for (const [n, first] of [
        [2, 0],
        [9, 3],
        [1, 12],
      ] as const) {
        const few = await evaluated(tr0n, n, first);
        assert.deepEqual(few.energies, got.energies.slice(first, first + n));
        assert.deepEqual(few.gradients, got.gradients.slice(first * 6, (first + n) * 6));
      }
      const batched = told.filter((text) => /run in batches of/.test(text));
      const fixed = [g, f].filter((rows) => rows !== "batch" && rows > 1);
      assert.equal(batched.length, fixed.length, told.join("\n"));
    });

  it("train, sample by every sampler, and are evaluated", async () => {
    const { tr0n } = await create(10, 4);
    await tr0n.train({ pairs: 64, epochs: 1, seed: 1 });
    for (const kind of [
      sampler.mala({ steps: 3 }),
      sampler.langevin({ steps: 3 }),
      sampler.hybrid({ steps: 3 }),
      sampler.resample({ steps: 0 }),
      sampler.direct(),
    ]) {
      const options = { count: 5, seed: 3, sampler: kind };
      const { energies, images } = await tr0n.sample({ class: 2 }, options);
      assert.ok(energies.every(Number.isFinite));
      assert.deepEqual(images.shape, [5, 3, 4, 4]);
    }
    const report = await evaluate(tr0n, { classes: [1], samples: 8, reference: 16, seed: 1 });
    assert.ok(report.rows.length > 0);
  });

  it("serve energies of augmented images", async () => {
    const augment = augmentation.policy({
      copies: 3,
      translation: 0.2,
      cutout: 0,
      resize: false,
      color: false,
    });
    const right = await evaluated((await create("batch", "batch", { augment })).tr0n);
    const got = await evaluated((await create(10, 4, { augment })).tr0n);
    close(got.energies, right.energies, 1e-5);
    close(got.gradients, right.gradients, 1e-5);
  });
});
