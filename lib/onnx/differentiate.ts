/**
 * Reverse-mode differentiation of a graph into a graph: vector–Jacobian products as plain ONNX.
 *
 * The walk visits the nodes backwards. A value can carry an adjoint only when it depends on an input that is
 * differentiated ("active"); an adjoint that nobody has sent is zero and costs nothing.
 */
import { ArgumentError, ModelError } from "../base/errors.js";
import { halvesInFloat32 } from "./adapt/float32.js";
import { Builder } from "./builder.js";
import {
  capturedNames,
  describeNode,
  Names,
  nodeReads,
  onNode,
  operatorName,
  removeDead,
  renameValues,
  subgraphs,
  valueNames,
  type Graph,
  type Node,
  type ValueInfo,
} from "./graph.js";
import type { DifferentiateOptions } from "./differentiate-options.js";
import { declareShapes } from "./declare-shapes.js";
import { gradientPaths, isVacuous } from "./gradient-paths.js";
import { preparedSteps } from "./prepare.js";
import { randomNodes } from "./random.js";
import { bothSteps } from "./rewrite/index.js";
import { hasRule, ruleOf, type RuleContext } from "./rules/index.js";
import { recurrent } from "./rules/recurrent.js";
import { isConstantAlmostEverywhere, spellingOfRule, type InputAdjoint } from "./rules/rule.js";
import { inferShapes, inferSteps, type Shapes } from "./shapes.js";
import { normalAxis, operators } from "./shapes/operators.js";
import { carries, quantisedAdvice, quantises } from "./straight-through.js";
import { finish, type Steps } from "./steps.js";
import { formedSteps } from "./targets/prepare.js";
import { spelledInOrder, whyLeft } from "./targets/spell.js";
import type { Target } from "./targets/target.js";
import { isFloat } from "./tensors.js";

/**
 * A graph with the original inputs and outputs, a seed `grad_<output>` per differentiated output and an output
 * `grad_<input>` = Σ_outputs Jᵀ · seed per input of `wrt`, zeros where nothing depends on the input, or only what is
 * constant almost everywhere ({@link gradientPaths} tells). A symbolic dimension stays symbolic.
 *
 * @throws ArgumentError for names that are no float inputs or outputs, or that collide with `grad_…`
 * @throws ModelError ERR_NO_GRADIENT when an adjoint reaches an operator without a rule, or when outputs depend on inputs
 *   and none of them has a path with a gradient; ERR_MODEL_UNSUPPORTED when a
 *   differentiated output depends on random numbers that the graph draws itself
 */
export function differentiateGraph(graph: Graph, options: DifferentiateOptions = {}): Graph {
  return finish(differentiateSteps(graph, options));
}

/** As {@link differentiateGraph}. */
export function differentiateSteps(graph: Graph, options: DifferentiateOptions = {}): Steps<Graph> {
  const fail: OnFailure = (_, error) => {
    throw error;
  };
  return walk(graph, options, fail, () => refuseVacuous(graph, options));
}

/** Zeros and nothing else are no gradient where the outputs depend on the inputs: something on the way ends it. */
function refuseVacuous(graph: Graph, { wrt, outputs, straightThrough }: DifferentiateOptions): void {
  const paths = gradientPaths(graph, { wrt, outputs, straightThrough });
  if (isVacuous(paths))
    throw new ModelError("ERR_NO_GRADIENT", paths.find(({ kind }) => kind === "stopped")!.message);
}

/** A node that an adjoint reaches and cannot pass. */
export interface GradientObstacle {
  opType: string;
  domain: string;
  /** The node's name, or its first output where it has none; within a branch, behind the names of the nodes around it. */
  node: string;
  /** The whole message of the error that differentiation ends with. */
  message: string;
}

/**
 * What `differentiateGraph` would fail on, node by node: operators without a rule, and variants that their rule refuses.
 * The walk goes on behind each as if it had passed an adjoint to all its inputs.
 *
 * @throws as differentiateGraph(), but for ERR_NO_GRADIENT and random numbers
 */
export function gradientObstacles(graph: Graph, options: DifferentiateOptions = {}): GradientObstacle[] {
  const found: GradientObstacle[] = [];
  const steps = walk(graph, { ...options, allowRandom: true }, (nodes, error) => {
    if (error.code !== "ERR_NO_GRADIENT") throw error;
    const { opType, domain } = nodes.at(-1)!;
    const node = nodes.map(({ name, outputs }) => name || (outputs[0] ?? "")).join("/");
    found.push({ opType, domain, node, message: error.message });
  });
  finish(steps);
  return found.reverse();
}

/** Told of a node, behind the nodes whose branches it lies in. It may throw the error, or let the walk go on. */
type OnFailure = (nodes: readonly Node[], error: ModelError) => void;

function* walk(
  graph: Graph,
  options: DifferentiateOptions,
  onFailure: OnFailure,
  onNothing: () => void = () => undefined,
): Steps<Graph> {
  const target = options.target ?? "cpu";
  // Adjoints of half precision would lose what is small beside a sum: they are float32, and so is what they are made of.
  let result = halvesInFloat32(yield* preparedSteps(graph, target));
  const types = yield* inferSteps(result);
  const wrt = chosen("wrt", options.wrt, result.inputs, types);
  const outputs = chosen("outputs", options.outputs, result.outputs, types);
  if (options.allowRandom !== true) refuseRandom(result, outputs);
  const own = options.keepOutputs === false ? [] : result.outputs;
  const declared = new Map(result.outputs.map((output) => [output.name, output]));
  const manner: Manner = { onFailure, target, straightThrough: options.straightThrough === true };
  result = yield* steppedSteps(result, activeValues(result.nodes, wrt, types, manner.straightThrough));
  const named = (name: string): string => `${options.prefix ?? "grad_"}${name}`;
  const seeds = options.seed === "ones" ? [] : outputs.map(named);
  const moved = reserve(result, own, seeds, wrt.map(named));

  const nodes = [...result.nodes];
  yield;
  const b = new Builder(result, "grad/", yield* inferSteps(result));
  yield;
  const active = activeValues(nodes, wrt, b.shapes, manner.straightThrough);
  const adjoints = new Adjoints(b);
  for (const name of outputs) {
    const value = moved.get(name) ?? name;
    if (options.seed !== "ones") adjoints.add(value, seedInput(b, named(name), declared.get(name)!, value));
    else if (active.has(value)) adjoints.add(value, b.filledLike(1, value));
  }
  const failed = new Set<Node>();
  for (const node of [...nodes].reverse()) {
    yield;
    try {
      onNode(node, () => propagate(b, node, active, adjoints, manner));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      // It may lie in another node than the one that cannot go on for it.
      const culprit = error instanceof NodeError ? error.node : node;
      if (!failed.has(culprit)) onFailure([culprit], error);
      failed.add(culprit);
      for (const name of new Set(nodeReads(node)))
        if (active.has(name)) adjoints.add(name, b.filledLike(0, name));
    }
  }

  result.outputs = [...own];
  const sums = wrt.map((name) => adjoints.take(name));
  if (sums.every((sum) => sum === null)) onNothing();
  for (const [i, name] of wrt.entries()) {
    b.output(named(name), sums[i] ?? b.filledLike(0, name));
    result.outputs.at(-1)!.dims = result.inputs.find((input) => input.name === name)!.dims;
  }
  yield;
  removeDead(result);
  yield* declareShapes(b);
  return yield* bothSteps(yield* formedSteps(result, target), target);
}

/**
 * Recurrent layers on the gradient's way, spelled out in steps: their adjoint needs what happens in each step, which the
 * layers do not hand out, and the runtime would compute all of it twice. Changes `graph`.
 */
function* steppedSteps(graph: Graph, active: ReadonlySet<string>): Steps<Graph> {
  const stepped = (node: Node): boolean =>
    node.domain === "" && recurrent.has(node.opType) && node.inputs.some((name) => active.has(name));
  if (!graph.nodes.some(stepped)) return graph;
  return yield* spelledInOrder(graph, (node) =>
    stepped(node) ? (spellingOfRule(node.opType) ?? null) : null,
  );
}

/** Numbers that are drawn anew at every run make a gradient of one function and outputs of another. */
function refuseRandom(graph: Graph, outputs: readonly string[]): void {
  const [node] = randomNodes(graph, outputs);
  if (node)
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${describeNode(node)} draws random numbers of its own at every run, so neither outputs nor gradients come again: ` +
        'export the model with fixed noise (StyleGAN: noise_mode="const") or in evaluation mode, or accept it with allowRandom',
    );
}

/** The names asked for, checked, or all that carry floating-point numbers. */
function chosen(argument: string, names: string[] | undefined, values: ValueInfo[], types: Shapes): string[] {
  const elemType = (value: ValueInfo): number => value.elemType || types.elemType(value.name);
  const valid = values.filter((value) => isFloat(elemType(value))).map((value) => value.name);
  if (names === undefined) return [...new Set(valid)];
  for (const name of names)
    if (!valid.includes(name))
      throw new ArgumentError(
        `${argument}: expected names of floating-point ${argument === "wrt" ? "inputs" : "outputs"} ` +
          `(${valid.join(", ") || "the model has none"}), got ${JSON.stringify(name)}`,
      );
  return [...new Set(names)];
}

/** Makes room for the names that are a promise: inner values give way, inputs and outputs cannot. */
function reserve(
  graph: Graph,
  own: readonly ValueInfo[],
  seeds: readonly string[],
  gradients: readonly string[],
): Map<string, string> {
  const promised = new Set([...seeds, ...gradients]);
  const taken = [...graph.inputs, ...own].find((value) => promised.has(value.name));
  const twice = seeds.find((name) => gradients.includes(name));
  if (taken || twice !== undefined)
    throw new ArgumentError(
      `the result would hold two values called "${taken?.name ?? twice}": ` +
        "rename the model's, drop its outputs, or choose another prefix",
    );
  const names = new Names(graph);
  const moved = new Map<string, string>();
  for (const name of valueNames(graph)) if (promised.has(name)) moved.set(name, names.fresh(`inner/${name}`));
  renameValues(graph, moved);
  return moved;
}

/** The cotangent of an output as a graph input. */
function seedInput(b: Builder, name: string, declared: ValueInfo, value: string): string {
  const inferred = b.shapes.valueInfo(value);
  const dims = inferred.dims?.map((dim, axis) => dim ?? declared.dims?.[axis] ?? null) ?? declared.dims;
  return b.input(name, inferred.elemType || declared.elemType, dims);
}

/** Values that depend differentiably on one of `wrt`. */
function activeValues(
  nodes: readonly Node[],
  wrt: readonly string[],
  shapes: Shapes,
  straightThrough: boolean,
): Set<string> {
  const active = new Set(wrt);
  for (const node of nodes) {
    if (isConstantAlmostEverywhere(node, straightThrough)) continue;
    if (!nodeReads(node).some((name) => active.has(name))) continue;
    node.outputs.forEach((output, i) => {
      if (output !== "" && carries(node, i, shapes, straightThrough)) active.add(output);
    });
  }
  return active;
}

/** What has been sent to each value so far. */
class Adjoints {
  private readonly sent = new Map<string, string[]>();

  constructor(private readonly b: Builder) {}

  add(value: string, adjoint: string): void {
    const list = this.sent.get(value);
    if (list) list.push(adjoint);
    else this.sent.set(value, [adjoint]);
  }

  /** The sum; null when nothing was sent. */
  take(value: string): string | null {
    const list = this.sent.get(value);
    if (!list) return null;
    this.sent.delete(value);
    if (list.length === 1) return list[0]!;
    return this.b.op(list.length === 2 ? "Add" : "Sum", list);
  }
}

/** What holds for a whole walk. */
interface Manner {
  readonly onFailure: OnFailure;
  readonly target: Target;
  readonly straightThrough: boolean;
}

/** Sends the adjoints of a node's outputs on to its inputs. */
function propagate(
  b: Builder,
  node: Node,
  active: ReadonlySet<string>,
  adjoints: Adjoints,
  manner: Manner,
): void {
  const grads = node.outputs.map((output) => (active.has(output) ? adjoints.take(output) : null));
  if (grads.every((grad) => grad === null)) return;
  const needed = nodeReads(node).filter((name) => active.has(name));
  const fail = (why: string): ModelError =>
    shapeless(b, node) ?? noGradient(b, node, needed[0] ?? node.inputs[0] ?? "", why);
  if (quantises(node) && !manner.straightThrough)
    throw noGradient(
      b,
      node,
      needed[0]!,
      "it computes with numbers that are rounded, so that its gradient is 0",
      quantisedAdvice,
    );
  if (!hasRule(node))
    throw noGradient(b, node, needed[0] ?? "", whyLeft(node) ?? "tr0n has no rule for this operator");
  const captured = [...new Set(subgraphs(node).flatMap((body) => [...capturedNames(body)]))];
  const context: RuleContext = {
    b,
    node,
    target: manner.target,
    x: node.inputs,
    captured,
    y: node.outputs[0]!,
    get g() {
      if (grads[0]) return grads[0];
      throw fail("only its first output has a gradient");
    },
    grads,
    output: (i) => optionalOutput(b, node, i),
    rank: (value) => {
      const rank = b.rank(value);
      if (rank === null) throw fail(unknownRank(b, value));
      return rank;
    },
    axis: (axis, rank) => {
      const at = normalAxis(axis, rank);
      if (at === null) throw new Error(`there is no axis ${axis} of ${rank}`);
      return at;
    },
    vjp: (y, g, leaf) => {
      const inner = b.nodesBetween(node.inputs, y);
      const within = new Adjoints(b);
      within.add(y, g);
      const reached = activeValues(inner, [leaf], b.shapes, manner.straightThrough);
      for (const each of inner.reverse()) propagate(b, each, reached, within, manner);
      return within.take(leaf);
    },
    isActive: (value) => active.has(value),
    // Whether random numbers are accepted was decided for the whole graph.
    differentiate: (body, options) =>
      finish(
        walk(
          body,
          { ...options, target: manner.target, straightThrough: manner.straightThrough, allowRandom: true },
          (inner, error) => manner.onFailure([node, ...inner], error),
        ),
      ),
    reached: (body, from) => activeValues(body.nodes, from, inferShapes(body), manner.straightThrough),
    fail,
  };
  const inputs: InputAdjoint[] = ruleOf(node)(context);
  [...node.inputs, ...captured].forEach((name, i) => {
    if (!active.has(name)) return;
    const adjoint = inputs[i]?.();
    if (!adjoint) return;
    b.shapes.adopt(adjoint, name);
    adjoints.add(name, adjoint);
  });
}

function optionalOutput(b: Builder, node: Node, index: number): string {
  while (node.outputs.length <= index) node.outputs.push("");
  if (node.outputs[index] === "") {
    node.outputs[index] = b.names.fresh(`${node.outputs[0]!}/output${index}`);
    b.shapes.addNode(node);
  }
  return node.outputs[index]!;
}

/** An error that lies in a node, though another one met it. */
class NodeError extends ModelError {
  constructor(
    message: string,
    readonly node: Node,
  ) {
    super("ERR_NO_GRADIENT", message);
    this.name = "ModelError";
  }
}

/** The first operator on the way to a node's inputs whose results nobody can tell the shape of, as what stops the node. */
function shapeless(b: Builder, node: Node): ModelError | null {
  const seen = new Set<string>();
  const unknown = (names: readonly string[]): string | undefined =>
    names.find((name) => name !== "" && !seen.has(name) && b.shapes.dims(name) === null);
  let culprit: Node | undefined;
  for (let name = unknown(nodeReads(node)); name !== undefined;) {
    seen.add(name);
    const maker = b.maker(name);
    // A constant, or an input that the model does not declare the shape of.
    if (!maker) return null;
    culprit = maker;
    name = unknown(nodeReads(maker));
  }
  if (!culprit) return null;
  const known = operators.has(operatorName(culprit));
  const why =
    whyLeft(culprit) ??
    (known
      ? "the shapes of its results follow from numbers that are known only at run time"
      : "tr0n does not know the operator");
  return new NodeError(
    `${describeNode(culprit)} (opset ${b.graph.opsets.get(culprit.domain) ?? "?"}) makes values of unknown shape, which the ` +
      `gradient of ${describeNode(node)} needs: ${why}. ${adviceOn(culprit)}`,
    culprit,
  );
}

/** Why a value's rank is unknown. */
function unknownRank(b: Builder, value: string): string {
  let name = value;
  // Where an operator is to blame, it is told of itself; here it is an input.
  for (let node = b.maker(name); node; node = b.maker(name)) {
    const before = node.inputs.find((input) => input !== "" && b.shapes.dims(input) === null);
    if (before === undefined) break;
    name = before;
  }
  return `the rank of "${value}" is not known, for the model does not declare the shape of "${name}"`;
}

function noGradient(b: Builder, node: Node, value: string, why: string, advice = adviceOn(node)): ModelError {
  return new ModelError(
    "ERR_NO_GRADIENT",
    `${describeNode(node)} (opset ${b.graph.opsets.get(node.domain) ?? "?"}) passes no gradient on to ` +
      `"${value}": ${why}. ${advice}`,
  );
}

/** What a user can do about an operator. */
function adviceOn({ domain, opType }: Node): string {
  const elsewhere = "or keep this part out of the gradient's path with wrt and outputs";
  if (domain === "") return `Export the model with other operators or with fixed sizes, ${elsewhere}`;
  if (domain === "com.microsoft.nchwc" || domain === "com.microsoft.nhwc")
    return (
      "ONNX Runtime saved the model for one kind of machine: use the file that it was made from, or save it with the " +
      'graph optimization level "extended" or "basic"'
    );
  if (domain.startsWith("com.microsoft"))
    return `Use the model as it was before ONNX Runtime or its tools optimized it, ${elsewhere}`;
  return (
    `${JSON.stringify(domain)} is no domain of standard operators: export the model with standard operators in place of ` +
    `${opType}, or with a function of the model's own for it, ${elsewhere}`
  );
}
