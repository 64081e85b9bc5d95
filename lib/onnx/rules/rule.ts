/**
 * What a differentiation rule is.
 *
 * A rule gets one node and the adjoints of its outputs, and returns for each input a function that emits the
 * input's adjoint. Only the functions of inputs that need an adjoint are called, so a frozen weight costs
 * nothing. null stands for an input that the output does not depend on differentiably (an index, a shape).
 *
 *     // y = tanh x,  dx = g · (1 − y²)
 *     define("Tanh", ({ b, g, y }) => [() => b.op("Mul", [g, b.op("Sub", [b.scalar(1, y), b.op("Mul", [y, y])])])]);
 *
 * Every adjoint has the shape of its value. Rules read the values of the forward pass and compute none again.
 */
import type { ModelError } from "../../base/errors.js";
import { float } from "../attributes.js";
import type { Builder } from "../builder.js";
import type { DifferentiateOptions } from "../differentiate-options.js";
import { operatorName, type Graph, type Node } from "../graph.js";
import { roundsThrough } from "../straight-through.js";
import type { Target } from "../targets/target.js";

/** What rules and spellings know of a node. */
export interface NodeContext {
  readonly b: Builder;
  readonly node: Node;
  /** Where the graph is to run. */
  readonly target: Target;
  /** The inputs; "" where one is left out. */
  readonly x: readonly string[];
  /** The first output. */
  readonly y: string;
  /** The name of output `i`; an optional one that the node does not make yet is asked for. */
  output(i: number): string;
  /** Dimensions of a value that the rule cannot do without. Throws ERR_NO_GRADIENT when the rank is unknown. */
  rank(value: string): number;
  /** An axis counted from the front. Throws when there is none. */
  axis(axis: number, rank: number): number;
  /** The error for a variant that has no rule. */
  fail(why: string): ModelError;
}

export interface RuleContext extends NodeContext {
  /** The values that the node's bodies take from around it; their adjoints follow those of the inputs. */
  readonly captured: readonly string[];
  /** The adjoint of the first output. */
  readonly g: string;
  /** The adjoints of all outputs; null is zero. */
  readonly grads: readonly (string | null)[];
  /** The adjoint of input `leaf` through nodes that the rule emitted itself: y = f(inputs) with the adjoint g. */
  vjp(y: string, g: string, leaf: string): string | null;
  /** Whether a value can carry an adjoint. */
  isActive(value: string): boolean;
  /** A body as a graph, differentiated. */
  differentiate(graph: Graph, options: DifferentiateOptions): Graph;
  /** The values of a body as a graph that depend differentiably on some of them. */
  reached(graph: Graph, from: readonly string[]): ReadonlySet<string>;
}

export type InputAdjoint = (() => string | null) | null;
export type Rule = (c: RuleContext) => InputAdjoint[];

/**
 * An operator in others: emits the same results again and returns as many of its outputs as it can. Throws the node's own
 * failure for a variant that it cannot spell.
 */
export type Spelling = (c: NodeContext) => string | readonly (string | null)[];

const spellings = new WeakMap<Rule, Spelling>();

/** How the rule of an operator spells it; undefined for an operator with a rule of its own. */
export function spellingOfRule(opType: string): Spelling | undefined {
  const rule = rules.get(opType);
  return rule && spellings.get(rule);
}

/** Rules by {@link operatorName}. */
export const rules = new Map<string, Rule>();

/** Operators whose outputs do not depend on their inputs differentiably, or are constant almost everywhere. */
export const constantOperators = new Set<string>();

/** The slope of a HardSigmoid that stands for a step: no adjoint goes through it. */
export const steep = 2 ** 127;

/** The same of the operators of classical machine learning: trees and thresholds. */
const constantMlOperators = new Set([
  "Binarizer",
  "LabelEncoder",
  "TreeEnsemble",
  "TreeEnsembleClassifier",
  "TreeEnsembleRegressor",
]);

/** Operators that read nothing of their inputs but how large they are. */
export const sizeOnlyOperators = new Set([
  "Shape",
  "Size",
  "EyeLike",
  "RandomNormalLike",
  "RandomUniformLike",
]);

/** Inputs that rules give no adjoint though they may hold real numbers, or whole ones made of them, by operator. */
export const withoutSlope: ReadonlyMap<string, readonly number[]> = new Map([
  ["CastLike", [1]],
  ["CumSum", [1]],
  ["DequantizeLinear", [1, 2]],
  ["Dropout", [1]],
  ["Expand", [1]],
  ["Gather", [1]],
  ["GatherElements", [1]],
  ["GatherND", [1]],
  ["OneHot", [0, 1]],
  ["Pad", [1, 3]],
  ["QuantizeLinear", [1, 2]],
  ["Range", [1]],
  ["Reshape", [1]],
  ["Resize", [1, 2, 3]],
  ["ScatterElements", [1]],
  ["ScatterND", [1]],
  ["Slice", [1, 2, 3, 4]],
  ["Tile", [1]],
  ["TopK", [1]],
  ["Trilu", [1]],
  ["Where", [0]],
]);

/** Whether a node's outputs do not depend on its inputs differentiably. */
export function isConstantAlmostEverywhere(node: Node, straightThrough: boolean): boolean {
  if (straightThrough && roundsThrough(node)) return false;
  if (node.domain !== "") return node.domain === "ai.onnx.ml" && constantMlOperators.has(node.opType);
  return (
    constantOperators.has(node.opType) ||
    (node.opType === "HardSigmoid" && Math.abs(float(node, "alpha", 0.2)) >= steep)
  );
}

/** Whether an adjoint can pass a node, as far as its operator tells. */
export function hasRule(node: Node): boolean {
  return rules.has(operatorName(node));
}

/** @throws where {@link hasRule} says that there is none */
export function ruleOf(node: Node): Rule {
  return rules.get(operatorName(node))!;
}

export function define(opTypes: string, rule: Rule): void {
  for (const opType of opTypes.split(" ")) rules.set(opType, rule);
}

export function defineConstant(opTypes: string): void {
  for (const opType of opTypes.split(" ")) constantOperators.add(opType);
}

/** A rule whose adjoints have the output's shape and are summed back over the axes that were broadcast. */
export function broadcasting(rule: Rule): Rule {
  return (c) =>
    rule(c).map((adjoint, i) =>
      adjoint === null
        ? null
        : () => {
            const wide = adjoint();
            return wide === null ? null : c.b.sumTo(wide, c.y, c.x[i]!);
          },
    );
}

/**
 * The rule of an operator that is spelled out in others: `f` emits the same result again, and what it emitted is
 * differentiated. For operators where that costs little, or that are too rare for a rule of their own. Of several outputs
 * `f` gives as many as it can.
 */
export function expanded(f: Spelling): Rule {
  const rule: Rule = (c) => {
    let made: readonly (string | null)[] | undefined;
    const again = (): readonly (string | null)[] => {
      if (made) return made;
      const results = f(c);
      return (made = typeof results === "string" ? [results] : results);
    };
    return c.x.map((leaf, i) => {
      // An input given twice has one adjoint, which holds both.
      if (leaf === "" || c.x.indexOf(leaf) < i) return null;
      return () => {
        const terms = c.grads.flatMap((g, output) => {
          if (g === null) return [];
          const y = again()[output] ?? null;
          if (y === null) throw c.fail(`its output ${output} passes no gradient`);
          return c.vjp(y, g, leaf) ?? [];
        });
        return terms.length === 0 ? null : terms.reduce((p, q) => c.b.op("Add", [p, q]));
      };
    });
  };
  spellings.set(rule, f);
  return rule;
}
