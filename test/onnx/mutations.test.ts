/** Damaged models: a typed error or a graph, soon, and never anything else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema } from "onnx-buf";
import { Tr0nError } from "../../lib/errors.js";
import { decodeModel, differentiate, encodeModel, inspectGraph, type Graph } from "../../lib/onnx/index.js";
import { random, runGraph, seedOf } from "./support.js";

const names = ["conv_bn_pool", "generator", "attention", "glue", "shuffle", "kinks"];
const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/onnx/${name}.onnx`, import.meta.url)));

/** The result, or null for a typed error. Anything else fails the test. */
function attempt(bytes: Uint8Array, what: string): Uint8Array | null {
  const start = performance.now();
  try {
    const result = differentiate(bytes);
    inspectGraph(decodeModel(bytes));
    return result;
  } catch (error) {
    assert.ok(error instanceof Tr0nError, `${what}: ${error instanceof Error ? error.stack : String(error)}`);
    assert.ok(error.message.length > 10, what);
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
  };

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
      assert.deepEqual(after.y!.data, before.y.data, `generator ${i}`);
      ran++;
    }
    assert.ok(ran > 5, `${ran} of 25 still ran`);
  });
});
