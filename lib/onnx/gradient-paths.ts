/**
 * Which inputs have a gradient at which outputs, without differentiating: an output may depend on an input through
 * operators alone that are constant almost everywhere, and then its gradient is 0 whatever happens.
 */
import type { GraphProto } from "onnx-buf";
import { bodyGraph } from "./body.js";
import { describeNode, nodeReads, operatorName, subgraphs, type Graph, type Node } from "./graph.js";
import { preparedSteps } from "./prepare.js";
import { hasRule } from "./rules/index.js";
import { isConstantAlmostEverywhere, sizeOnlyOperators, withoutSlope } from "./rules/rule.js";
import { inferShapes, inferSteps, type Shapes } from "./shapes.js";
import { finish, type Steps } from "./steps.js";
import { carries, quantisedAdvice, quantises } from "./straight-through.js";
import { isFloat, typeName } from "./tensors.js";

export interface GradientPath {
  readonly input: string;
  readonly output: string;
  /**
   * "gradient": a path of differentiable operators leads from the input to the output. "stopped": the output depends on the
   * input, and every such path ends, or one meets an operator that tr0n has no rule for. "independent": nothing that the
   * input holds changes the output.
   */
  readonly kind: "gradient" | "stopped" | "independent";
  /** What stops it, in the graph's order. Empty where the input or the output itself holds no real numbers. */
  readonly stoppedBy: readonly GradientStop[];
  /** Of "stopped": the whole story. */
  readonly message: string;
}

export interface GradientStop {
  readonly opType: string;
  readonly domain: string;
  /** The node's name, or its first output where it has none. */
  readonly node: string;
  /** True where the operator has a gradient that tr0n does not know: then differentiation fails, and does not give zeros. */
  readonly unknown: boolean;
}

interface PathOptions {
  readonly wrt?: readonly string[] | undefined;
  readonly outputs?: readonly string[] | undefined;
  /** As in {@link DifferentiateOptions}. */
  readonly straightThrough?: boolean | undefined;
}

/**
 * Every pair of an input and an output.
 *
 * @param options default: all inputs and all outputs, those of whole numbers included
 */
export function gradientPaths(graph: Graph, options: PathOptions = {}): GradientPath[] {
  return finish(pathSteps(graph, options));
}

/** As {@link gradientPaths}. */
export function* pathSteps(graph: Graph, options: PathOptions = {}): Steps<GradientPath[]> {
  const prepared = yield* preparedSteps(graph, "cpu");
  const shapes = yield* inferSteps(prepared);
  const names = (values: readonly { name: string }[]): string[] => [
    ...new Set(values.map(({ name }) => name)),
  ];
  const outputs = options.outputs ?? names(prepared.outputs);
  const paths: GradientPath[] = [];
  for (const input of options.wrt ?? names(prepared.inputs)) {
    yield;
    const flow = new Flow(
      { graph: prepared, shapes, straightThrough: options.straightThrough === true },
      input,
    );
    for (const output of outputs) {
      yield;
      paths.push(flow.to(output));
    }
  }
  return paths;
}

/** Whether differentiation gives zeros and nothing else, though some output depends on some input. */
export function isVacuous(paths: readonly GradientPath[]): boolean {
  return paths.some(({ kind }) => kind === "stopped") && paths.every(({ kind }) => kind !== "gradient");
}

interface Explored {
  readonly graph: Graph;
  readonly shapes: Shapes;
  readonly straightThrough: boolean;
}

/** What one input reaches. */
class Flow {
  /** Values that change with it. */
  private readonly dependent: Set<string>;
  /** Those among them that do so differentiably, operators without a rule counted as if they had one. */
  private readonly smooth: Set<string>;

  constructor(
    private readonly of: Explored,
    private readonly input: string,
  ) {
    this.dependent = new Set([input]);
    this.smooth = new Set(isReal(of.shapes, input) ? [input] : []);
    spread(of, this.dependent, this.smooth);
  }

  to(output: string): GradientPath {
    const { input } = this;
    const pair = { input, output, stoppedBy: [], message: "" };
    if (!this.dependent.has(output)) return { ...pair, kind: "independent" };
    const smooth = this.smooth.has(output);
    const stops = smooth ? this.unruled(output) : this.ends(output);
    if (smooth && stops.length === 0) return { ...pair, kind: "gradient" };
    const message = `no path with a gradient leads from ${JSON.stringify(input)} to ${JSON.stringify(output)}: ${this.reasons(output, stops)}`;
    const stoppedBy = stops.map((node) => ({
      opType: node.opType,
      domain: node.domain,
      node: node.name || (node.outputs.find((name) => name !== "") ?? ""),
      unknown: smooth,
    }));
    return { ...pair, kind: "stopped", stoppedBy, message };
  }

  /** The nodes that read something differentiable and make of it what is not, on the way to `output`. */
  private ends(output: string): Node[] {
    return this.behind(output, this.dependent, (node) =>
      nodeReads(node).some((name) => this.smooth.has(name)) ? "stop" : "pass",
    );
  }

  /** The nodes without a rule that an adjoint of `output` meets. */
  private unruled(output: string): Node[] {
    return this.behind(output, this.smooth, (node) => (this.passes(node) ? "pass" : "both"));
  }

  private passes(node: Node): boolean {
    return hasRule(node) && (this.of.straightThrough || !quantises(node));
  }

  /** Walks back from `output` over values in `among`. */
  private behind(
    output: string,
    among: ReadonlySet<string>,
    at: (node: Node) => "stop" | "pass" | "both",
  ): Node[] {
    const wanted = new Set([output]);
    const found: Node[] = [];
    for (const node of [...this.of.graph.nodes].reverse()) {
      if (!node.outputs.some((name) => name !== "" && wanted.has(name) && among.has(name))) continue;
      const reads = nodeReads(node).filter((name) => among.has(name));
      if (reads.length === 0) continue;
      const how = at(node);
      if (how !== "pass") found.push(node);
      if (how !== "stop") for (const name of reads) wanted.add(name);
    }
    return found.reverse();
  }

  private reasons(output: string, stops: readonly Node[]): string {
    const { shapes, graph } = this.of;
    const whole = (name: string): string =>
      `${JSON.stringify(name)} holds no real numbers (${typeName(shapes.elemType(name))})`;
    if (!isReal(shapes, this.input)) return whole(this.input);
    if (stops.length === 0) return whole(output);
    const shown = stops.slice(0, 3).map((node) => {
      const opset = graph.opsets.get(node.domain);
      return `${describeNode(node)}${opset === undefined ? "" : ` (opset ${opset})`} ${this.why(node)}`;
    });
    const more = stops.length - shown.length;
    const advice = this.isLifted(output) ? `. ${quantisedAdvice}` : "";
    return shown.join("; ") + (more > 0 ? `; and ${more} more` : "") + advice;
  }

  /** Whether there is a gradient with the option `straightThrough`, and none without. */
  private isLifted(output: string): boolean {
    if (this.of.straightThrough) return false;
    return new Flow({ ...this.of, straightThrough: true }, this.input).to(output).kind === "gradient";
  }

  private why(node: Node): string {
    const { shapes, straightThrough } = this.of;
    if (quantises(node) && hasRule(node)) return "computes with numbers that are rounded";
    if (isConstantAlmostEverywhere(node, straightThrough)) return "is constant almost everywhere";
    if (node.opType === "If") return "has no branch that passes one on";
    if (!hasRule(node)) return "is an operator that tr0n has no rule for";
    const made = node.outputs.filter((name) => name !== "");
    if (made.every((name) => !isReal(shapes, name)))
      return `makes ${typeName(shapes.elemType(made[0]!))} of it`;
    return "takes it for a condition, an index or a size";
  }
}

/** Whether a value may hold real numbers; of unknown types everything is possible. */
function isReal(shapes: Shapes, name: string): boolean {
  const elemType = shapes.elemType(name);
  return elemType === 0 || isFloat(elemType);
}

/** Adds what the nodes make of values in the two sets. */
function spread(of: Explored, dependent: Set<string>, smooth: Set<string>): void {
  const { graph, shapes, straightThrough } = of;
  for (const node of graph.nodes) {
    if (node.domain === "" && sizeOnlyOperators.has(node.opType)) continue;
    if (!nodeReads(node).some((name) => dependent.has(name))) continue;
    const bodies = subgraphs(node);
    if (node.domain === "" && node.opType === "If") {
      const chosen = node.inputs.some((name) => dependent.has(name));
      for (const body of bodies) spreadBranch(body, node, { ...of, dependent, smooth, chosen });
      continue;
    }
    const flat = withoutSlope.get(operatorName(node)) ?? [];
    const slopes = node.inputs.filter((name, i) => name !== "" && !flat.includes(i));
    const passes =
      !isConstantAlmostEverywhere(node, straightThrough) &&
      (slopes.some((name) => smooth.has(name)) ||
        (bodies.length > 0 && nodeReads(node).some((name) => smooth.has(name))));
    node.outputs.forEach((output, i) => {
      if (output === "") return;
      dependent.add(output);
      if (passes && carries(node, i, shapes, straightThrough)) smooth.add(output);
    });
  }
}

/** A branch of an If sees what is around it. */
function spreadBranch(
  body: GraphProto,
  node: Node,
  around: Explored & { dependent: Set<string>; smooth: Set<string>; chosen: boolean },
): void {
  const { graph, shapes, straightThrough, dependent, smooth, chosen } = around;
  const branch = bodyGraph(body, { graph, valueInfo: (name) => shapes.valueInfo(name) });
  const inner = { dependent: new Set(dependent), smooth: new Set(smooth) };
  spread({ graph: branch, shapes: inferShapes(branch), straightThrough }, inner.dependent, inner.smooth);
  branch.outputs.forEach(({ name }, i) => {
    const output = node.outputs[i];
    if (!output) return;
    if (chosen || inner.dependent.has(name)) dependent.add(output);
    if (inner.smooth.has(name) && isReal(shapes, output)) smooth.add(output);
  });
}
