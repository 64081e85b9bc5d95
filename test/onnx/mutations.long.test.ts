/**
 * Damaged models: a typed error or a right answer, soon, and never anything else. TR0N_MUTATIONS=20000 tries that many
 * instead of the suite's 2,000; TR0N_MUTATIONS_FROM begins at another mutant, to see one again.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema } from "onnx-buf";
import { InferenceSession } from "onnxruntime-node";
import { Tr0nError } from "../../lib/base/errors.js";
import {
  decodeModel,
  differentiate,
  encodeModel,
  fixBatch,
  graphCost,
  inspectGraph,
  typeName,
  type Graph,
} from "../../lib/onnx/index.js";
import { assertClose, run, runGraph, size, spaced, type Feed } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";

const names = ["conv_bn_pool", "generator", "attention", "glue", "shuffle", "kinks"];
const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/onnx/${name}.onnx`, import.meta.url)));

/** The result, or null for a typed error. Anything else fails the test. */
function attempt(bytes: Uint8Array, what: string, inspect = true): Uint8Array | null {
  const start = performance.now();
  try {
    const result = differentiate(bytes);
    if (inspect) inspectGraph(decodeModel(bytes));
    return result;
  } catch (error) {
    assert.ok(error instanceof Tr0nError, `${what}: ${error instanceof Error ? error.stack : String(error)}`);
    assert.ok(error.message.length > 10, what);
    assert.notEqual(error.code, "ERR_INTERNAL", what);
    return null;
  } finally {
    const seconds = (performance.now() - start) / 1000;
    assert.ok(seconds < 10, `${what}: took ${seconds} s`);
  }
}

/** Ways to break the graph of a model; each gets a generator to choose where. */
const breaks: Record<string, (graph: Graph, pick: <T>(list: readonly T[]) => T, next: () => number) => void> =
  {
    "an edge to a later value": (g, pick) => {
      const node = pick(g.nodes);
      node.inputs[Math.max(0, node.inputs.length - 1)] = pick(g.nodes).outputs[0]!;
    },
    "an edge to nothing": (g, pick) => (pick(g.nodes).inputs[0] = "nowhere"),
    "no inputs": (g, pick) => (pick(g.nodes).inputs = []),
    "no outputs": (g, pick) => (pick(g.nodes).outputs = []),
    "an input too few": (g, pick) => pick(g.nodes).inputs.pop(),
    "an input left out": (g, pick) => (pick(g.nodes).inputs[0] = ""),
    "inputs swapped": (g, pick) => pick(g.nodes).inputs.reverse(),
    "another operator": (g, pick) => (pick(g.nodes).opType = pick(g.nodes).opType),
    "another domain": (g, pick) => (pick(g.nodes).domain = "com.example"),
    "an output twice": (g, pick) => (pick(g.nodes).outputs = [pick(g.nodes).outputs[0]!]),
    "attributes of the wrong type": (g, pick) => {
      const node = pick(g.nodes.filter((n) => n.attributes.size > 0));
      for (const name of node.attributes.keys())
        node.attributes.set(
          name,
          create(AttributeProtoSchema, {
            name,
            type: AttributeProto_AttributeType.STRING,
            s: new Uint8Array([97]),
          }),
        );
    },
    "attributes without values": (g, pick) => {
      const node = pick(g.nodes.filter((n) => n.attributes.size > 0));
      for (const [name, old] of node.attributes)
        node.attributes.set(name, create(AttributeProtoSchema, { name, type: old.type }));
    },
    "integers that are huge or negative": (g, pick, next) => {
      const node = pick(g.nodes.filter((n) => n.attributes.size > 0));
      const odd = (): bigint =>
        pick([-1n, 0n, -(1n << 63n), (1n << 63n) - 1n, 1n << 40n, 100000n, BigInt(Math.floor(next() * 9))]);
      for (const [name, old] of node.attributes)
        node.attributes.set(
          name,
          create(AttributeProtoSchema, {
            name,
            type: old.type,
            i: odd(),
            ints: old.ints.map(odd),
            f: old.f,
            s: old.s,
            t: old.t,
          }),
        );
    },
    "huge input sizes": (g, pick) => {
      for (const input of g.inputs)
        input.dims = input.dims?.map(() => pick([2 ** 52, 2 ** 31, 1, 0, null, "n", "2*n", "?0"])) ?? null;
    },
    "inputs of another rank": (g, pick) =>
      (pick(g.inputs).dims = pick([[], [3], ["a", "b", "c", "d", "e"], null])),
    "inputs of another type": (g, pick) => (pick(g.inputs).elemType = pick([0, 7, 8, 9, 10, 11, 16, 99])),
    "constants of another shape": (g, pick) => {
      const tensor = pick([...g.initializers.values()]);
      tensor.dims = pick([
        [],
        [0n],
        [1n << 62n],
        [-1n],
        [3n, 5n],
        tensor.dims.slice(1),
        [...tensor.dims, 1n],
      ]);
    },
    "constants of another type": (g, pick) =>
      (pick([...g.initializers.values()]).dataType = pick([0, 7, 8, 10, 11, 16, 22, 99])),
    "constants with other bytes": (g, pick, next) => {
      const tensor = pick([...g.initializers.values()]);
      tensor.rawData = Uint8Array.from(tensor.rawData, () => Math.floor(next() * 256));
    },
    "another operator set": (g, pick) =>
      g.opsets.set("", pick([-3, 0, 1, 6, 7, 8, 10, 13, 18, 20, 21, 23, 99])),
    "outputs left out": (g) => (g.outputs = []),
    "a cycle": (g, pick) => {
      const at = Math.floor(g.nodes.length / 2);
      g.nodes[at]!.inputs[0] = pick(g.nodes.slice(at)).outputs[0]!;
    },
    "an attribute from another node": (g, pick) => {
      const from = pick(g.nodes.filter((n) => n.attributes.size > 0));
      const [name, value] = pick([...from.attributes]);
      pick(g.nodes).attributes.set(name, value);
    },
    "an attribute left out": (g, pick) => {
      const node = pick(g.nodes.filter((n) => n.attributes.size > 0));
      node.attributes.delete(pick([...node.attributes.keys()]));
    },
    "a node left out": (g, _, next) => g.nodes.splice(Math.floor(next() * g.nodes.length), 1),
    "an edge somewhere else": (g, pick, next) => {
      const at = Math.floor(next() * g.nodes.length);
      const before = [...g.inputs.map((v) => v.name), ...g.nodes.slice(0, at).flatMap((n) => n.outputs)];
      const node = g.nodes[at]!;
      node.inputs[Math.floor(next() * node.inputs.length)] = pick([...before, ...g.initializers.keys()]);
    },
    "an operator in place of another": (g, pick) =>
      (pick(g.nodes).opType = pick(
        "Relu Exp Sqrt Log Tanh Add Mul Div Sub Max Pow MatMul Softmax ReduceSum ReduceMax Transpose Concat Einsum".split(
          " ",
        ),
      )),
    "a small integer changed": (g, pick, next) => {
      const node = pick(g.nodes.filter((n) => n.attributes.size > 0));
      for (const [name, old] of node.attributes) {
        const change = (value: bigint): bigint => (next() < 0.5 ? value + BigInt(pick([-1, 1])) : value);
        const { i, ints } = old;
        if (i !== 0n || ints.length > 0)
          node.attributes.set(
            name,
            create(AttributeProtoSchema, { name, type: old.type, i: change(i), ints: ints.map(change) }),
          );
      }
    },
    "other sizes of inputs": (g, pick) => {
      for (const input of g.inputs)
        input.dims = input.dims?.map((dim) => pick([dim, dim, dim, 1, 2, 7, "n"])) ?? null;
    },
  };

/** One to three changes of graph or bytes; the same ones for the same number. */
function mutant(seed: number): { bytes: Uint8Array | null; what: string } {
  const next = random(seed * 7919 + 11);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const name = pick(names);
  const what = [`mutant ${seed}`, name];
  let bytes = fixture(name);
  if (next() < 0.75) {
    const graph = decodeModel(bytes);
    const times = pick([1, 1, 1, 2, 3]);
    for (let k = 0; k < times; k++) {
      const [title, change] = pick(Object.entries(breaks));
      what.push(title);
      try {
        change(graph, pick, next);
      } catch {
        return { bytes: null, what: "" }; // nothing left to change
      }
    }
    try {
      bytes = encodeModel(graph);
    } catch {
      return { bytes: null, what: "" };
    }
  }
  const damage = next();
  if (damage < 0.25) {
    for (let k = pick([1, 1, 2, 8]); k > 0; k--)
      bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
    what.push("bytes changed");
  } else if (damage < 0.3) {
    bytes = bytes.slice(0, Math.floor(next() * bytes.length));
    what.push("cut off");
  }
  return { bytes, what: what.join(", ") };
}

/**
 * Runs a mutant in ONNX Runtime and holds its gradient to a finite difference along one direction. "unclear" where the
 * function is not smooth enough or its numbers too large for float32 to tell.
 */
async function compare(
  bytes: Uint8Array,
  differentiated: Uint8Array,
  what: string,
): Promise<"agrees" | "unclear" | "refused"> {
  const graph = fixBatch(decodeModel(bytes), 2).graph;
  const { peakBytes, flops } = graphCost(graph);
  if (!(peakBytes < 5e7 && flops < 1e9)) return "refused";
  const next = random(seedOf(what));
  const feeds: Record<string, Feed> = {};
  for (const { name, dims, elemType } of graph.inputs) {
    const type = typeName(elemType);
    if (!dims || (type !== "float32" && type !== "int64")) return "refused";
    const shape = dims.map((dim) => (typeof dim === "number" ? dim : 2));
    if (size(shape) > 1e5) return "refused";
    feeds[name] = {
      dims: shape,
      type,
      data: type === "int64" ? new Float64Array(size(shape)) : spaced(next, size(shape)),
    };
  }
  // Not optimised: the runtime's fusions have defects of their own. (1.30 takes 2 ** x in a variance for x ** 2.)
  const open = (model: Uint8Array): Promise<InferenceSession> =>
    InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
      graphOptimizationLevel: "disabled",
    });
  const forward = await open(bytes).catch(() => null);
  if (forward === null) return "refused";
  let backward: InferenceSession | null = null;
  try {
    const plain = await run(forward, feeds, { logSeverityLevel: 4 }).catch(() => null);
    if (plain === null) return "refused";
    const opened = await open(differentiated).catch((error: unknown) =>
      assert.fail(`${what}: the runtime runs the model, but refuses its gradient: ${String(error)}`),
    );
    backward = opened;
    const outputs = Object.keys(plain).filter((name) => opened.inputNames.includes(`grad_${name}`));
    for (const name of outputs)
      feeds[`grad_${name}`] = { dims: [...plain[name]!.dims], data: uniform(next, plain[name]!.data.length) };
    const finite = (list: ArrayLike<number>): boolean => Array.from(list).every((v) => Math.abs(v) < 1e4);
    if (outputs.length === 0 || !outputs.every((name) => finite(plain[name]!.data))) return "unclear";
    const result = await run(opened, feeds, { logSeverityLevel: 4 });

    const wrt = Object.keys(feeds).filter((name) => result[`grad_${name}`]);
    const direction = Object.fromEntries(wrt.map((name) => [name, uniform(next, size(feeds[name]!.dims))]));
    const loss = async (step: number): Promise<number> => {
      const moved = { ...feeds };
      for (const name of wrt) {
        const from = feeds[name]!.data;
        moved[name] = { ...feeds[name]!, data: direction[name]!.map((d, k) => from[k]! + step * d) };
      }
      const at = await run(forward, moved);
      let sum = 0;
      for (const name of outputs)
        at[name]!.data.forEach((v, k) => (sum += v * feeds[`grad_${name}`]!.data[k]!));
      return sum;
    };
    const centre = await loss(0);
    const slopes: number[] = [];
    // One-sided ones as well: at a tie or a kink they differ, and the gradient is a matter of convention.
    for (const step of [4e-3, 2e-3, 1e-3])
      slopes.push(((await loss(step)) - centre) / step, (centre - (await loss(-step))) / step);
    let [actual, scale] = [0, 1e-2];
    for (const name of wrt)
      result[`grad_${name}`]!.data.forEach((v, k) => {
        actual += v * direction[name]![k]!;
        scale += Math.abs(v * direction[name]![k]!);
      });
    const spread = Math.max(...slopes) - Math.min(...slopes);
    if (!(spread < 0.02 * scale)) return "unclear";
    const error = Math.abs(actual - slopes.reduce((sum, slope) => sum + slope, 0) / slopes.length);
    assert.ok(
      error < 0.05 * scale + 3 * spread,
      `${what}: the slope is ${slopes.join(", ")}, the gradient says ${actual}`,
    );
    return "agrees";
  } finally {
    await forward.release();
    await backward?.release();
  }
}

describe("onnx: damaged models", () => {
  for (const name of names)
    it(`${name}: cut off anywhere`, () => {
      const bytes = fixture(name);
      const next = random(seedOf(name));
      for (let i = 0; i < 20; i++) {
        const length = Math.floor(next() * bytes.length);
        attempt(bytes.subarray(0, length), `${name} cut to ${length} bytes`);
      }
    });

  for (const name of names)
    it(`${name}: bytes changed`, () => {
      const next = random(seedOf(name) + 1);
      for (let i = 0; i < 25; i++) {
        const bytes = fixture(name);
        const count = 1 + Math.floor(next() * 3);
        const places = Array.from({ length: count }, () => Math.floor(next() * bytes.length));
        for (const place of places) bytes[place] = Math.floor(next() * 256);
        attempt(bytes, `${name} with bytes ${places.join(", ")} changed`);
      }
    });

  for (const [what, change] of Object.entries(breaks))
    it(what, () => {
      for (const name of names) {
        const next = random(seedOf(name + what));
        const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
        for (let i = 0; i < 3; i++) {
          const graph = decodeModel(fixture(name));
          // The constants of some nets are nodes.
          if (what.startsWith("constants") && graph.initializers.size === 0) continue;
          change(graph, pick, next);
          let bytes: Uint8Array;
          try {
            bytes = encodeModel(graph);
          } catch {
            continue;
          }
          attempt(bytes, `${name}: ${what} (${i})`);
        }
      }
    });

  const { TR0N_MUTATIONS = "2000", TR0N_MUTATIONS_FROM = "0" } = process.env;
  it(`${TR0N_MUTATIONS} mutants: typed errors or graphs; what runs agrees with finite differences`, async function () {
    this.timeout(3_600_000);
    const [first, count] = [Number(TR0N_MUTATIONS_FROM), Number(TR0N_MUTATIONS)];
    const rss = process.memoryUsage().rss;
    const tally = { graphs: 0, ran: 0, agreed: 0 };
    const failures: string[] = [];
    const tryOne = async (i: number): Promise<void> => {
      const { bytes, what } = mutant(i);
      const result = bytes && attempt(bytes, what, i % 4 === 0);
      if (!bytes || !result) return;
      tally.graphs++;
      if (i % 3 !== 0) return;
      const verdict = await compare(bytes, result, what);
      if (verdict !== "refused") tally.ran++;
      if (verdict === "agrees") tally.agreed++;
    };
    for (let i = first; i < first + count; i++)
      await tryOne(i).catch((error: Error) => failures.push(error.message.slice(0, 1000)));
    assert.deepEqual(failures, [], `${failures.length} of ${count} mutants`);
    process.stdout.write(`      ${JSON.stringify(tally)}\n`);
    assert.ok(tally.graphs > count / 10 && tally.agreed > count / 100, JSON.stringify(tally));
    assert.ok(process.memoryUsage().rss < rss + 1.5e9, "memory grew");
  });

  it("where a damaged model still runs, its differentiated form gives the same outputs", async () => {
    const next = random(77);
    const z = { dims: [2, 8], data: Float32Array.from({ length: 16 }, () => next() - 0.5) };
    const seed = { dims: [2, 3, 16, 16], data: new Float32Array(2 * 3 * 256).fill(1) };
    let ran = 0;
    for (let i = 0; i < 25; i++) {
      const bytes = fixture("generator");
      bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
      const result = attempt(bytes, `generator ${i}`);
      if (result === null) continue;
      const before = await runGraph(bytes, { z }).catch(() => null);
      if (before?.y === undefined || before.y.dims.join() !== seed.dims.join()) continue;
      const after = await runGraph(result, { z, grad_y: seed });
      // Rewrites round differently, and weave an infinite number into its row.
      if (!before.y.data.every(Number.isFinite)) continue;
      assertClose(after.y!.data, before.y.data, 1e-5, `generator ${i}`);
      ran++;
    }
    assert.ok(ran > 5, `${ran} of 25 still ran`);
  });
});
