/** Attention, and the rotary embedding of positions that goes with it. */
import { float, int } from "../attributes.js";
import { DataType } from "../tensors.js";
import { define, expanded, type NodeContext } from "./rule.js";

// softmax(scale · Q Kᵀ, capped, + mask) V per head. Q is [batch, heads, length, size], or [batch, length, heads · size];
// K and V may have fewer heads, each for a group of Q's. Keys and values of the past come first.
define(
  "Attention",
  expanded((c) => {
    const { b, x, y, node, fail } = c;
    if (x[6]) throw fail("the number of its keys is known only at run time");
    const flat = c.rank(x[0]!) === 3;
    const count = (name: string, value: string): number => {
      const heads = flat ? int(node, name, 0) : b.shapes.dims(value)![1];
      if (typeof heads !== "number" || heads <= 0)
        throw fail("its number of heads is known only at run time");
      return heads;
    };
    const heads = count("q_num_heads", x[0]!);
    const groups = count("kv_num_heads", x[1]!);
    if (heads % groups !== 0) throw new Error(`its ${heads} heads are no multiple of ${groups}`);
    const perHead = (value: string, n: number): string =>
      flat ? b.op("Transpose", [b.reshape(value, [0, 0, n, -1])], { perm: [0, 2, 1, 3] }) : value;
    const withPast = (past: string | undefined, value: string): string =>
      past ? b.op("Concat", [past, value], { axis: 2 }) : value;
    // Every head of K and V once for each head of Q in its group.
    const repeated = (value: string): string => {
      if (groups === heads) return value;
      const spread = b.op("Tile", [b.unsqueeze(value, [2]), b.ints([1, 1, heads / groups, 1, 1])]);
      return b.op("Reshape", [
        spread,
        b.op("Concat", [b.sizes(value, [0]), b.ints([heads]), b.sizes(value, [2, 3])], { axis: 0 }),
      ]);
    };
    const q = perHead(x[0]!, heads);
    const [keys, values] = [withPast(x[4], perHead(x[1]!, groups)), withPast(x[5], perHead(x[2]!, groups))];
    const k = repeated(keys);

    let scores = b.op("MatMul", [
      b.op("Mul", [q, scale(c, q)]),
      b.op("Transpose", [k], { perm: [0, 1, 3, 2] }),
    ]);
    const cap = float(node, "softcap", 0);
    if (cap !== 0) {
      const bent = b.op("Tanh", [b.op("Mul", [scores, b.scalar(1 / cap, scores)])]);
      scores = b.op("Mul", [bent, b.scalar(cap, scores)]);
    }
    const weights = shares(c, masked(c, scores));
    const result = b.op("MatMul", [weights, repeated(values)]);
    const merged = flat ? b.reshapeLike(b.op("Transpose", [result], { perm: [0, 2, 1, 3] }), y) : result;
    return [merged, keys, values];
  }),
);

/** 1 / √(size of a head), or what the node says. */
function scale({ b, node }: NodeContext, q: string): string {
  const given = float(node, "scale", 0);
  if (given !== 0) return b.scalar(given, q);
  const size = b.shapes.dims(q)?.[3];
  if (typeof size === "number") return b.scalar(1 / Math.sqrt(size), q);
  return b.op("Reciprocal", [b.op("Sqrt", [b.castLike(b.op("Squeeze", [b.sizes(q, [3])]), q)])]);
}

/** Scores with the mask added; of a mask of truth values, and of a causal one, what is left out counts nothing. */
function masked({ b, x, node }: NodeContext, scores: string): string {
  const never = b.scalar(-Infinity, scores);
  const mask = x[3];
  if (mask && b.shapes.elemType(mask) === DataType.BOOL) scores = b.op("Where", [mask, scores, never]);
  else if (mask) scores = b.op("Add", [scores, mask]);
  if (int(node, "is_causal", 0) === 0) return scores;
  const ones = b.op("Expand", [b.constant([1], [1], DataType.FLOAT), b.sizes(scores, [2, 3])]);
  const past = x[4] ? b.op("Squeeze", [b.sizes(x[4], [2])]) : b.int(0);
  const seen = b.op("Cast", [b.op("Trilu", [ones, past], { upper: 0 })], { to: DataType.BOOL });
  return b.op("Where", [seen, scores, never]);
}

/** The softmax over keys; 0 for a query whose mask lets no key through, as the runtime has it. */
function shares({ b, x }: NodeContext, scores: string): string {
  if (!x[3]) return b.op("Softmax", [scores], { axis: -1 });
  const best = b.op("ReduceMax", [scores, b.ints([-1])]);
  const none = b.op("Equal", [best, b.scalar(-Infinity, scores)]);
  const zero = b.scalar(0, scores);
  return b.op("Where", [none, zero, b.op("Softmax", [b.op("Where", [none, zero, scores])], { axis: -1 })]);
}

// A rotation of pairs: its adjoint is the rotation back.
define("RotaryEmbedding", ({ b, g, x, node, fail }) => {
  const attributes = Object.fromEntries(
    ["interleaved", "num_heads", "rotary_embedding_dim"]
      .filter((name) => node.attributes.has(name))
      .map((name) => [name, int(node, name, 0)]),
  );
  const tables = (): string => {
    throw fail("its tables of cosines and sines depend on the input");
  };
  return [
    () => b.op("RotaryEmbedding", [g, x[1]!, b.op("Neg", [x[2]!]), x[3] || null], attributes),
    tables,
    tables,
    null,
  ];
});
