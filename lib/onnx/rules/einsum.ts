/** Einsum: its adjoint is an Einsum of the adjoint and the other operands. */
import { string } from "../attributes.js";
import { define, type RuleContext } from "./rule.js";

// Labels that only the operand itself has were summed: its adjoint is spread over them. A label that it has twice takes
// the diagonal: off it the adjoint is zero.
define("Einsum", (c) => {
  const { b, g, x } = c;
  const { operands, result } = labelled(c);
  return x.map((value, i) => () => {
    const own = operands[i]!;
    const others = operands.filter((_, j) => j !== i);
    const seen = new Set([...others.flat(), ...result]);
    const unique = [...new Set(own)];
    const kept = unique.filter((label) => seen.has(label));
    const equation = `${[result, ...others].map((labels) => labels.join("")).join(",")}->${kept.join("")}`;
    const inputs = [g, ...x.filter((_, j) => j !== i)];
    let adjoint = b.op("Einsum", inputs, { equation });
    // Axes that are missing, or the second of a pair, are of size 1 until they are spread.
    const missing = own.flatMap((label, axis) =>
      own.indexOf(label) === axis && kept.includes(label) ? [] : [axis],
    );
    adjoint = b.unsqueeze(adjoint, missing);
    own.forEach((label, axis) => {
      const first = own.indexOf(label);
      if (first < axis) adjoint = b.op("Mul", [adjoint, onDiagonal(c, value, first, axis, own.length)]);
    });
    // An axis of size 1 that was broadcast has its adjoints added up.
    return missing.some((axis) => own.indexOf(own[axis]!) === axis)
      ? b.op("Expand", [b.sumTo(adjoint, adjoint, value), b.shapeOf(value)])
      : b.sumTo(adjoint, adjoint, value);
  });
});

/** 1 where the positions along two axes are equal, else 0; of size 1 along all others. */
function onDiagonal(c: RuleContext, value: string, first: number, second: number, rank: number): string {
  const { b, g } = c;
  const along = (axis: number): string => {
    const size = b.op("Squeeze", [b.sizes(value, [axis])]);
    const places = b.op("Range", [b.int(0), size, b.int(1)]);
    return b.reshape(
      places,
      Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1)),
    );
  };
  return b.castLike(b.op("Equal", [along(first), along(second)]), g);
}

/** The labels of every axis; an ellipsis becomes labels of its own, counted from the back. */
function labelled(c: RuleContext): { operands: string[][]; result: string[] } {
  const { x, node } = c;
  const text = string(node, "equation", "").replaceAll(" ", "");
  const [left, right] = text.split("->") as [string, string | undefined];
  const terms = left.split(",");
  if (terms.length !== x.length) throw new Error(`its equation "${text}" is not of ${x.length} operands`);
  const free = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"].filter(
    (label) => !text.includes(label),
  );
  let widest = 0;
  const rests = terms.map((term, i) => {
    const rest = term.includes("...") ? c.rank(x[i]!) - (term.length - 3) : 0;
    widest = Math.max(widest, rest);
    return rest;
  });
  if (widest > free.length) throw c.fail("it has too many axes");
  const ellipsis = free.slice(0, widest);
  const spell = (term: string, rest: number): string[] => {
    const [before, after] = term.split("...");
    return [...before!, ...(after === undefined ? [] : [...ellipsis.slice(widest - rest), ...after])];
  };
  const operands = terms.map((term, i) => spell(term, rests[i]!));
  if (right !== undefined) return { operands, result: spell(right, widest) };
  // Without an arrow: the ellipsis, then all labels that occur once, in order.
  const all = operands.flat().filter((label) => !ellipsis.includes(label));
  const once = all.filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort();
  return { operands, result: [...(text.includes("...") ? ellipsis : []), ...once] };
}
