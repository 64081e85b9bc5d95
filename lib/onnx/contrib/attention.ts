/** Attention of ONNX Runtime's own domain. */
import { float, int, ints } from "../attributes.js";
import { DataType } from "../tensors.js";
import type { NodeContext } from "../rules/rule.js";
import { add, affine, define, part, sizeOf, turned } from "./table.js";

/** [batch, length, heads · size] → [batch, heads, length, size] */
function perHead({ b }: NodeContext, value: string, heads: number): string {
  return turned(b, b.reshape(value, [0, 0, heads, -1]), [0, 2, 1, 3]);
}

/** What is added to scores, by a mask of whole numbers: 0 where a key is seen. */
function maskedScores(c: NodeContext, mask: string, scores: string): string {
  const { b, node, rank } = c;
  const never = b.scalar(float(node, "mask_filter_value", -10000), scores);
  const zero = b.constant([0], [], DataType.INT32);
  const whole = b.op("Cast", [mask], { to: DataType.INT32 });
  const where = (seen: string): string => b.op("Where", [seen, b.scalar(0, scores), never]);
  switch (rank(mask)) {
    case 1:
      return where(seenKeys(c, whole, scores));
    case 2:
      return where(b.unsqueeze(b.op("Greater", [whole, zero]), [1, 2]));
    case 3:
      return where(b.unsqueeze(b.op("Greater", [whole, zero]), [1]));
    default:
      throw c.fail("its mask is none of the kinds that the runtime takes on CPUs");
  }
}

/** Which keys a mask of lengths [batch], or of ends and starts [2 · batch], lets through. */
function seenKeys(c: NodeContext, mask: string, scores: string): string {
  const { b } = c;
  const [rows, batch] = [b.shapes.dims(mask)?.[0] ?? null, b.shapes.dims(scores)?.[0] ?? null];
  const both = typeof rows === "number" && typeof batch === "number" ? rows === 2 * batch : null;
  if (both === null && rows !== batch)
    throw c.fail("whether its mask has lengths, or ends and starts, is known only at run time");
  if (!both && rows !== batch) throw c.fail("its mask is none of the kinds that the runtime takes on CPUs");
  const keys = b.op("Cast", [b.op("Range", [b.int(0), b.op("Squeeze", [b.sizes(scores, [3])]), b.int(1)])], {
    to: DataType.INT32,
  });
  const column = (value: string): string => b.reshape(value, [-1, 1, 1, 1]);
  if (!both) return b.op("Less", [keys, column(mask)]);
  const half = (rows! as number) / 2;
  const ends = b.op("Less", [keys, column(part(b, mask, 0, 0, half))]);
  return b.op("And", [ends, b.op("GreaterOrEqual", [keys, column(part(b, mask, 0, half, 2 * half))])]);
}

/** softmax(scale · Q Kᵀ + masks) V for [batch, heads, length, size], as [batch, length, heads · size]. */
function attend(
  c: NodeContext,
  of: { q: string; k: string; v: string; mask: string | undefined; bias: string | undefined },
): string {
  const { b, node } = c;
  const given = float(node, "scale", 0);
  const scale = given === 0 ? 1 / Math.sqrt(sizeOf(c, of.q, 3, "the size of its heads")) : given;
  let scores = b.op("MatMul", [affine(b, of.q, scale), turned(b, of.k, [0, 1, 3, 2])]);
  scores = add(b, scores, of.mask && maskedScores(c, of.mask, scores), of.bias);
  if (int(node, "unidirectional", 0) !== 0) {
    const ones = b.op("Expand", [b.constant([1], [1], DataType.FLOAT), b.sizes(scores, [2, 3])]);
    const seen = b.op("Cast", [b.op("Trilu", [ones], { upper: 0 })], { to: DataType.BOOL });
    scores = b.op("Where", [seen, scores, b.scalar(-Infinity, scores)]);
  }
  const mixed = b.op("MatMul", [b.op("Softmax", [scores], { axis: -1 }), of.v]);
  const heads = sizeOf(c, of.v, 1, "its number of heads");
  const width = b.shapes.dims(of.v)?.[3];
  const turnedBack = turned(b, mixed, [0, 2, 1, 3]);
  return typeof width === "number"
    ? b.reshape(turnedBack, [0, 0, heads * width])
    : b.reshape(turnedBack, [0, 0, -1]);
}

function refusePast(c: NodeContext, inputs: readonly number[]): void {
  if (inputs.some((i) => c.x[i]))
    throw c.fail("it takes keys and values of the past: export the model without a cache (use_cache=False)");
}

// Queries, keys and values are one product of the input.
define("Attention", (c) => {
  const { b, x, node } = c;
  refusePast(c, [4, 6]);
  if (int(node, "do_rotary", 0) !== 0) throw c.fail("it turns queries and keys by their places itself");
  if (node.outputs[1])
    throw c.fail(
      "its keys and values are an output for later runs: export the model without a cache (use_cache=False)",
    );
  const heads = int(node, "num_heads", 0);
  const width = sizeOf(c, x[1]!, 1, "the size of its weights");
  const widths = ints(node, "qkv_hidden_sizes") ?? [width / 3, width / 3, width / 3];
  const all = add(b, b.op("MatMul", [x[0]!, x[1]!]), x[2]);
  const [q, k, v] = b
    .ops("Split", [all, b.ints(widths)], 3, { axis: -1 })
    .map((value) => perHead(c, value, heads)) as [string, string, string];
  return attend(c, { q, k, v, mask: x[3], bias: x[5] });
});

// Queries, keys and values [batch, length, heads · size]; or packed, all in one or keys with values; or keys and values by heads.
define("MultiHeadAttention", (c) => {
  const { b, x, node, rank } = c;
  refusePast(c, [6, 7, 8, 9]);
  if (node.outputs[3]) throw c.fail("its scores are an output");
  const heads = int(node, "num_heads", 0);
  const [query, key, value, bias] = x;
  /** Number `i` of the last but one axis of [batch, length, heads, n, size]. */
  const packed = (all: string, i: number): string =>
    turned(b, b.op("Gather", [all, b.int(i)], { axis: 3 }), [0, 2, 1, 3]);
  const flat = (all: string): string => perHead(c, all, heads);
  let parts: string[];
  if (rank(query!) === 5) parts = [0, 1, 2].map((i) => packed(query!, i));
  else if (!key) throw c.fail("it has no keys");
  else if (rank(key) === 5) parts = [flat(query!), packed(key, 0), packed(key, 1)];
  else parts = [flat(query!), ...[key, value!].map((all) => (rank(all) === 4 ? all : flat(all)))];
  if (bias) {
    const size = sizeOf(c, parts[0]!, 3, "the size of its heads") * heads;
    const all = sizeOf(c, bias, 0, "the size of its bias");
    const bounds = [0, size, 2 * size, all];
    parts = parts.map((own, i) =>
      add(
        b,
        own,
        b.unsqueeze(
          turned(b, b.reshape(part(b, bias, 0, bounds[i]!, bounds[i + 1]!), [heads, 1, -1]), [0, 1, 2]),
          [0],
        ),
      ),
    );
  }
  const [q, k, v] = parts as [string, string, string];
  const y = attend(c, { q, k, v, mask: x[4], bias: x[5] });
  // Handed out for later runs, which have them as their past.
  return [y, k, v, null];
});

// Pairs of numbers are turned by angles of their place.
define("RotaryEmbedding", (c) => {
  const { b, x, node, rank } = c;
  if (float(node, "scale", 1) !== 1 || int(node, "is_packed_batching", 0) !== 0)
    throw c.fail("it scales its angles, or its rows are packed");
  const [input, places, cosines, sines] = x;
  const half = sizeOf(c, cosines!, 1, "the size of its tables");
  const heads = int(node, "num_heads", 0);
  const byHeads = rank(input!) === 4;
  const size = byHeads
    ? sizeOf(c, input!, 3, "the size of its heads")
    : heads > 0
      ? sizeOf(c, input!, 2, "its width") / heads
      : 2 * half;
  const rows = byHeads
    ? input!
    : turned(b, b.op("Reshape", [input!, b.ints([0, 0, -1, size])]), [0, 2, 1, 3]);
  const length = b.op("Squeeze", [b.sizes(rows, [2])]);
  // One place is where the first row is; the others follow it.
  const at =
    rank(places!) === 1
      ? b.unsqueeze(b.op("Add", [b.op("Range", [b.int(0), length, b.int(1)]), places!]), [0])
      : places!;
  const table = (values: string): string => b.unsqueeze(b.op("Gather", [values, at], { axis: 0 }), [1]);
  const [cos, sin] = [table(cosines!), table(sines!)];
  const turn = (p: string, q: string): [string, string] => [
    b.op("Sub", [b.op("Mul", [p, cos]), b.op("Mul", [q, sin])]),
    b.op("Add", [b.op("Mul", [q, cos]), b.op("Mul", [p, sin])]),
  ];
  const moving = part(b, rows, 3, 0, 2 * half);
  let result: string;
  if (int(node, "interleaved", 0) !== 0) {
    const pairs = b.op("Reshape", [moving, b.ints([0, 0, 0, half * 2])]);
    const every = (from: number): string =>
      b.op("Slice", [pairs, b.ints([from]), b.ints([2 * half]), b.ints([3]), b.ints([2])]);
    const [p, q] = turn(every(0), every(1));
    const both = b.op("Concat", [b.unsqueeze(p, [4]), b.unsqueeze(q, [4])], { axis: 4 });
    result = b.reshapeLike(both, moving);
  } else {
    const [p, q] = turn(part(b, moving, 3, 0, half), part(b, moving, 3, half, 2 * half));
    result = b.op("Concat", [p, q], { axis: 3 });
  }
  if (2 * half < size) result = b.op("Concat", [result, part(b, rows, 3, 2 * half, size)], { axis: 3 });
  return byHeads ? result : b.reshapeLike(turned(b, result, [0, 2, 1, 3]), input!);
});
