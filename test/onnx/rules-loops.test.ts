/** Scan and Loop: few steps are unrolled, many run backwards in a Scan of their own. */
import assert from "node:assert/strict";
import {
  Builder,
  DataType,
  differentiateGraph,
  emptyGraph,
  gradientObstacles,
  upgradeGraph,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { withBody } from "../support/loops.js";
import { checkGradient, runGraph, assertClose, type Case } from "../support/operators.js";

/** "batch" is the number of steps, which the graph does not know: then the adjoint is a Scan. */
const lengths: [string, Dim][] = [
  ["known", 3],
  ["free", "batch"],
];

const scans: Case[] = lengths.flatMap(([kind, n]): Case[] => [
  {
    name: `Scan, ${kind} length`,
    inputs: { x: { dims: [n, 2, 3] }, h: { dims: [2, 3] }, w: { dims: [3, 3] } },
    build: (b, { x, h, w }, f) => {
      const scale = b.op("Tanh", [w!]);
      return withBody(
        b,
        "Scan",
        [h!, x!],
        2,
        {
          own: [
            ["h", f, null],
            ["x", f, null],
          ],
          captured: [scale, h!],
          write: (t, before, part) => {
            const after = t.op("Tanh", [
              t.op("Add", [t.op("MatMul", [before, scale]), t.op("Mul", [part, h!])]),
            ]);
            return [after, t.op("Mul", [after, part])];
          },
        },
        { num_scan_inputs: 1 },
      );
    },
  },
  {
    name: `Scan backwards along other axes, ${kind} length`,
    inputs: { x: { dims: [2, n] }, z: { dims: [n, 2] }, h: { dims: [2] }, c: { dims: [2] } },
    build: (b, { x, z, h, c }, f) =>
      withBody(
        b,
        "Scan",
        [h!, c!, x!, z!],
        4,
        {
          own: [
            ["h", f, [2]],
            ["c", f, [2]],
            ["x", f, [2]],
            ["z", f, [2]],
          ],
          write: (t, p, q, u, v) => [
            t.op("Add", [t.op("Sin", [q]), u]),
            t.op("Mul", [p, v]),
            t.op("Exp", [p]),
            t.op("Mul", [q, u]),
          ],
        },
        {
          num_scan_inputs: 2,
          scan_input_axes: [-1, 0],
          scan_input_directions: [1, 0],
          scan_output_axes: [1, -1],
          scan_output_directions: [0, 1],
        },
      ),
  },
  {
    name: `Scan with a counter and a constant state, ${kind} length`,
    inputs: { x: { dims: [n, 2] } },
    build: (b, { x }, f) => {
      const zero = b.constant([0, 0], [2], f);
      const [, y] = withBody(
        b,
        "Scan",
        [zero, b.int(0), x!],
        3,
        {
          own: [
            ["h", f, [2]],
            ["i", DataType.INT64, []],
            ["x", f, [2]],
          ],
          write: (t, h, i, part) => {
            const next = t.op("Add", [i, t.int(1)]);
            const weight = t.op("Cast", [next], { to: f });
            const after = t.op("Add", [h, t.op("Mul", [t.op("Mul", [part, part]), weight])]);
            return [after, next, t.op("Sin", [after])];
          },
        },
        { num_scan_inputs: 1 },
      ).filter((_, i) => i !== 1);
      return y!;
    },
  },
  {
    name: `Scan within a Scan, ${kind} length`,
    inputs: { x: { dims: [n, 3, 2] }, w: { dims: [2] } },
    build: (b, { x, w }, f) => {
      const zero = b.constant([0, 0], [2], f);
      return withBody(
        b,
        "Scan",
        [zero, x!],
        2,
        {
          own: [
            ["h", f, [2]],
            ["x", f, [3, 2]],
          ],
          captured: [w!],
          write: (t, h, rows) => {
            const [sum, all] = withBody(
              t,
              "Scan",
              [h, rows],
              2,
              {
                own: [
                  ["h", f, [2]],
                  ["x", f, [2]],
                ],
                captured: [w!],
                write: (u, before, part) => {
                  const after = u.op("Tanh", [u.op("Add", [before, u.op("Mul", [part, w!])])]);
                  return [after, after];
                },
              },
              { num_scan_inputs: 1 },
            );
            return [sum!, t.op("ReduceSum", [all!, t.ints([0])], { keepdims: 0 })];
          },
        },
        { num_scan_inputs: 1 },
      );
    },
  },
]);

const loops: Case[] = [
  {
    name: "Loop of three steps, with further outputs",
    inputs: { x: { dims: ["batch", 2] } },
    build: (b, { x }, f) =>
      withBody(b, "Loop", [b.int(3), b.constant([1], [], DataType.BOOL), x!], 2, {
        own: [
          ["i", DataType.INT64, []],
          ["more", DataType.BOOL, []],
          ["h", f, null],
        ],
        captured: [x!],
        write: (t, i, more, h) => {
          const weight = t.op("Add", [t.op("Cast", [i], { to: f }), t.scalar(1, h)]);
          const after = t.op("Sin", [t.op("Add", [t.op("Mul", [h, weight]), x!])]);
          return [t.op("Identity", [more]), after, t.op("Exp", [h])];
        },
      }),
  },
  {
    name: "Loop of which the input says the steps",
    inputs: { x: { dims: [2, 2] }, n: { dims: [1], type: "int64", values: () => [4] } },
    batches: [1],
    build: (b, { x, n }, f) =>
      withBody(b, "Loop", [n!, "", x!], 2, {
        own: [
          ["i", DataType.INT64, []],
          ["more", DataType.BOOL, []],
          ["h", f, [2, 2]],
        ],
        captured: [x!],
        write: (t, i, more, h) => {
          const weight = t.op("Add", [t.op("Cast", [i], { to: f }), t.scalar(1, h)]);
          const after = t.op("Sin", [t.op("Add", [t.op("Div", [h, weight]), x!])]);
          return [t.op("Identity", [more]), after, t.op("Exp", [h])];
        },
      }),
  },
  {
    name: "Loop of many steps",
    inputs: { x: { dims: [2] } },
    build: (b, { x }, f) =>
      withBody(b, "Loop", [b.int(300), b.constant([1], [], DataType.BOOL), x!], 1, {
        own: [
          ["i", DataType.INT64, []],
          ["more", DataType.BOOL, []],
          ["h", f, [2]],
        ],
        captured: [x!],
        write: (t, _, more, h) => [
          t.op("Identity", [more]),
          t.op("Add", [
            t.op("Mul", [t.op("Sin", [h]), t.scalar(0.9, h)]),
            t.op("Mul", [x!, t.scalar(0.01, h)]),
          ]),
        ],
      }),
  },
  {
    name: "Loop that counts by itself, of what grows",
    inputs: { x: { dims: ["batch", 2] } },
    build: (b, { x }, f) => {
      const [, y] = withBody(b, "Loop", ["", b.constant([1], [], DataType.BOOL), b.int(0), x!], 2, {
        own: [
          ["i", DataType.INT64, []],
          ["more", DataType.BOOL, []],
          ["k", DataType.INT64, []],
          ["h", f, null],
        ],
        write: (t, _, _more, k, h) => {
          const next = t.op("Add", [k, t.int(1)]);
          return [t.op("Less", [next, t.int(3)]), next, t.op("Concat", [t.op("Sin", [h]), h], { axis: 1 })];
        },
      });
      return y!;
    },
  },
];

describe("onnx: rules, Scan and Loop", () => {
  for (const spec of [...scans, ...loops]) it(spec.name, () => checkGradient(spec));

  it("few steps are unrolled, many are not", () => {
    const of = (dims: Dim[]): Graph => {
      const b = new Builder(upgradeGraph(emptyGraph("case")));
      const x = b.input("x", DataType.FLOAT, dims);
      const zero = b.constant([0, 0], [2], DataType.FLOAT);
      const own: [string, number, Dim[]][] = [
        ["h", DataType.FLOAT, [2]],
        ["x", DataType.FLOAT, [2]],
      ];
      const write = (t: Builder, h: string, part: string): string[] => [
        t.op("Tanh", [t.op("Add", [h, part])]),
      ];
      b.output("y", withBody(b, "Scan", [zero, x], 1, { own, write }, { num_scan_inputs: 1 })[0]!);
      return differentiateGraph(b.graph, { wrt: ["x"] });
    };
    const scansOf = (graph: Graph): number => graph.nodes.filter(({ opType }) => opType === "Scan").length;
    assert.equal(scansOf(of([4, 2])), 0);
    assert.equal(scansOf(of([4000, 2])), 2);
    assert.equal(scansOf(of(["n", 2])), 2);
  });

  it("loops within loops, and steps without nodes, do not fill the memory", () => {
    const b = new Builder(upgradeGraph(emptyGraph("case")));
    const f = DataType.FLOAT;
    const x = b.input("x", f, [2]);
    const nested = (t: Builder, depth: number, value: string): string => {
      const [y] = withBody(t, "Loop", [t.int(40), t.constant([1], [], DataType.BOOL), value], 1, {
        own: [
          ["i", DataType.INT64, []],
          ["more", DataType.BOOL, []],
          ["h", f, [2]],
        ],
        write: (u, _, more, h) => [
          u.op("Identity", [more]),
          depth > 0 ? nested(u, depth - 1, h) : u.op("Sin", [h]),
        ],
      });
      return y!;
    };
    b.output("y", nested(b, 4, x));
    const gradient = differentiateGraph(b.graph);
    assert.ok(gradient.nodes.length < 50_000, `${gradient.nodes.length} nodes`);

    const long = new Builder(upgradeGraph(emptyGraph("long")));
    const rows = long.input("x", f, [2 ** 31, 1]);
    const state = long.constant([0], [1], f);
    const own: [string, number, Dim[]][] = [
      ["h", f, [1]],
      ["x", f, [1]],
    ];
    const [, copies] = withBody(
      long,
      "Scan",
      [state, rows],
      2,
      { own, write: (_, h, part) => [h, part] },
      { num_scan_inputs: 1 },
    );
    long.output("y", copies!);
    assert.ok(differentiateGraph(long.graph, { wrt: ["x"] }).nodes.length < 100);
  });

  it("a loop that data ends is refused by name", () => {
    const b = new Builder(upgradeGraph(emptyGraph("case")));
    const x = b.input("x", DataType.FLOAT, [2]);
    const [y] = withBody(b, "Loop", [b.int(100), b.constant([1], [], DataType.BOOL), x], 1, {
      own: [
        ["i", DataType.INT64, []],
        ["more", DataType.BOOL, []],
        ["h", DataType.FLOAT, [2]],
      ],
      write: (t, _, _more, h) => {
        const sum = t.op("ReduceSum", [h], { keepdims: 0 });
        return [t.op("Less", [sum, t.scalar(10, sum)]), t.op("Mul", [h, t.scalar(1.1, h)])];
      },
    });
    b.output("y", y!);
    const found = gradientObstacles(b.graph);
    assert.deepEqual(
      found.map(({ opType }) => opType),
      ["Loop"],
    );
    assert.match(
      found[0]!.message,
      /Loop node "Loop".*how many steps it takes depends on data.*fixed number of steps/,
    );
  });

  it("a Scan of operator set 8, which has a batch of its own", async () => {
    const graph = emptyGraph("old", 8);
    graph.irVersion = 3;
    const b = new Builder(graph);
    const [h, x] = [b.input("h", DataType.FLOAT, [2, 3]), b.input("x", DataType.FLOAT, [2, 4, 3])];
    const f = DataType.FLOAT;
    const [last, all] = withBody(
      b,
      "Scan",
      ["", h, x],
      2,
      {
        own: [
          ["h", f, [3]],
          ["x", f, [3]],
        ],
        write: (t, before, part) => {
          const after = t.op("Tanh", [t.op("Add", [before, part])]);
          return [after, t.op("Mul", [after, before])];
        },
      },
      { num_scan_inputs: 1, directions: [1] },
    );
    graph.nodes.find(({ opType }) => opType === "Scan")!.inputs[0] = "";
    b.output("last", last!);
    b.output("all", all!);
    for (const output of graph.outputs) Object.assign(output, { elemType: f, dims: null });
    const feeds = {
      h: { dims: [2, 3], data: [0.1, -0.2, 0.3, 0.4, 0.5, -0.6] },
      x: { dims: [2, 4, 3], data: Array.from({ length: 24 }, (_, i) => Math.sin(i)) },
    };
    const plain = await runGraph(graph, feeds);
    const seeds = {
      grad_last: { dims: [2, 3], data: [1, 2, -1, 0.5, 1, -2] },
      grad_all: { dims: [2, 4, 3], data: Array.from({ length: 24 }, (_, i) => Math.cos(i)) },
    };
    const gradient = await runGraph(differentiateGraph(graph), { ...feeds, ...seeds });
    for (const name of ["last", "all"]) assertClose(gradient[name]!.data, plain[name]!.data, 1e-6, name);
    const loss = async (): Promise<number> => {
      const at = await runGraph(graph, feeds);
      return (["last", "all"] as const).reduce(
        (sum, name) => sum + at[name]!.data.reduce((s, v, i) => s + v * seeds[`grad_${name}`].data[i]!, 0),
        0,
      );
    };
    for (const [name, { data }] of Object.entries(feeds)) {
      const slopes = [];
      for (let i = 0; i < data.length; i++) {
        const centre = data[i]!;
        data[i] = centre + 1e-2;
        const up = await loss();
        data[i] = centre - 1e-2;
        const down = await loss();
        data[i] = centre;
        slopes.push((up - down) / 2e-2);
      }
      assertClose(gradient[`grad_${name}`]!.data, slopes, 1e-3, name);
    }
  });
});
