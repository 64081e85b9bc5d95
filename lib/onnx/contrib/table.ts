/**
 * Operators of ONNX Runtime's own domain that stand for several standard ones. Models that the runtime optimised and saved, or
 * that its tools made, have them; every later pass sees the standard operators instead.
 */
import { float, floatList } from "../attributes.js";
import type { Builder } from "../builder.js";
import type { Node } from "../graph.js";
import type { NodeContext, Spelling } from "../rules/rule.js";

/** The domain of ONNX Runtime's operators. */
export const microsoft = "com.microsoft";

const spellings = new Map<string, Spelling>();
const conditions = new Map<string, (node: Node) => boolean>();

/**
 * Operators of the domain, but for those that say where they are: "ai.onnx:Name" is one that the runtime put among the standard
 * ones, "ai.onnx.ml:Name" one of classical machine learning.
 */
export function define(opTypes: string, spelling: Spelling): void {
  for (const opType of opTypes.split(" ")) spellings.set(opType, spelling);
}

/** Standard operators in a form that the runtime does not take on any device. */
export function defineForm(opTypes: string, of: (node: Node) => boolean, spelling: Spelling): void {
  for (const opType of opTypes.split(" ")) {
    define(`ai.onnx:${opType}`, spelling);
    conditions.set(opType, of);
  }
}

/** Whether a node is one of {@link defineForm}. */
export function isStrangeForm(node: Node): boolean {
  return node.domain === "" && (conditions.get(node.opType)?.(node) ?? false);
}

/** How an operator is spelled in standard ones; undefined for one that is none of the runtime's own, or has no spelling. */
export function contribSpelling(node: Node): Spelling | undefined {
  if (node.domain === microsoft) return spellings.get(node.opType);
  if (node.domain === "ai.onnx.ml") return spellings.get(`ai.onnx.ml:${node.opType}`);
  if (node.domain !== "" || conditions.get(node.opType)?.(node) === false) return undefined;
  return spellings.get(`ai.onnx:${node.opType}`);
}

/** The names of all, for the page of operators. */
export function contribOperators(): string[] {
  return [...spellings.keys()]
    .filter((name) => !conditions.has(name.replace("ai.onnx:", "")) && !name.startsWith("ai.onnx.ml:"))
    .map((name) => name.replace("ai.onnx:", ""))
    .sort();
}

// What several families need ------------------------------------------------------------------------

export const add = (b: Builder, ...terms: (string | null | undefined)[]): string =>
  terms.filter((term): term is string => !!term).reduce((p, q) => b.op("Add", [p, q]));

/** a · x + c with numbers. */
export function affine(b: Builder, x: string, a: number, c = 0): string {
  const scaled = a === 1 ? x : b.op("Mul", [x, b.scalar(a, x)]);
  return c === 0 ? scaled : b.op("Add", [scaled, b.scalar(c, x)]);
}

/** The part of an axis between two places. */
export function part(b: Builder, x: string, axis: number, from: number, to: number): string {
  return b.op("Slice", [x, b.ints([from]), b.ints([to]), b.ints([axis])]);
}

/** The axes of a value in another order. */
export function turned(b: Builder, x: string, perm: readonly number[]): string {
  return b.op("Transpose", [x], { perm: [...perm] });
}

/** A size that the spelling must know. */
export function sizeOf({ b, fail }: NodeContext, value: string, axis: number, what: string): number {
  const size = b.shapes.dims(value)?.at(axis);
  if (typeof size !== "number") throw fail(`${what} is known only at run time`);
  return size;
}

/** The activation that a fused operator ends with. `numbers` are its parameters in the order of the runtime. */
export function activated(c: NodeContext, y: string, name: string, numbers: readonly number[]): string {
  const { b } = c;
  const [p, q] = numbers;
  switch (name) {
    case "":
      return y;
    case "Relu":
    case "Tanh":
    case "Sigmoid":
    case "Softplus":
    case "Softsign":
      return b.op(name, [y]);
    case "LeakyRelu":
    case "Elu":
    case "ThresholdedRelu":
      return b.op(name, [y], { alpha: p });
    case "HardSigmoid":
      return b.op(name, [y], { alpha: p, beta: q });
    case "Clip":
      return b.op(name, [
        y,
        p === undefined ? null : b.scalar(p, y),
        q === undefined ? null : b.scalar(q, y),
      ]);
    case "HardSwish":
      return b.op(name, [y]);
    default:
      throw c.fail(`its activation ${name} is not known`);
  }
}

/** The list `activation_params`. */
export const activationNumbers = (node: Node): number[] => floatList(node, "activation_params") ?? [];

/** The attributes `activation_alpha`, `_beta` and `_gamma`, as far as they are there. */
export function namedNumbers(node: Node): number[] {
  const names = ["activation_alpha", "activation_beta", "activation_gamma"];
  return names.filter((name) => node.attributes.has(name)).map((name) => float(node, name, 0));
}
