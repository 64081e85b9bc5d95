/**
 * Types, shapes and small constants of every value of a graph, as far as they are certain. Unknown is always
 * allowed, wrong never is: a rule that reads a static size from here writes it into a graph.
 *
 * A dimension without a name gets a symbol of its own ("?3"), the same wherever the same formula makes it, so
 * that two tensors of the same run-time shape are known to be equal although nobody knows the size.
 */
import { bodyGraph } from "./body.js";
import { onNode, operatorName, type Dim, type Graph, type Node, type ValueInfo } from "./graph.js";
import { fromFile, isStatic, toFile } from "./shapes/dims.js";
import type { InferContext, TensorType } from "./shapes/context.js";
import { operators } from "./shapes/operators.js";
import { allNumbers, asBound, asSizes, maxEntries, stored, type SmallValue } from "./shapes/values.js";
import { finish, type Steps } from "./steps.js";
import { DataType, isFloat, readNumbers, tensorDims, tensorSize } from "./tensors.js";

export type { TensorType };

const unknown: TensorType = { elemType: 0, dims: null };

export class Shapes {
  private readonly types = new Map<string, TensorType>();
  private readonly values = new Map<string, SmallValue>();
  private readonly derived = new Map<string, string>();

  /** Knows the graph's inputs and initializers; nodes are added one by one, in order. */
  constructor(private readonly graph: Graph) {
    for (const input of graph.inputs) this.addInput(input);
  }

  addInput(input: ValueInfo): void {
    const dims =
      input.dims?.map((dim, axis) => fromFile(dim) ?? this.derive(`${input.name}[${axis}]`)) ?? null;
    this.types.set(input.name, { elemType: input.elemType, dims });
  }

  type(name: string): TensorType {
    const known = this.types.get(name);
    if (known) return known;
    const constant = this.graph.initializers.get(name);
    if (!constant) return unknown;
    const type = { elemType: constant.dataType, dims: tensorDims(constant) };
    this.types.set(name, type);
    return type;
  }

  elemType(name: string): number {
    return this.type(name).elemType;
  }

  dims(name: string): Dim[] | null {
    return this.type(name).dims;
  }

  /** The dimensions when all of them are numbers. */
  staticDims(name: string): number[] | null {
    const dims = this.dims(name);
    return isStatic(dims) ? dims : null;
  }

  /** The entries of a small tensor, each a number (or bigint), a symbol or null; null when nothing is known. */
  value(name: string): SmallValue | null {
    const known = this.values.get(name);
    if (known) return known;
    const constant = this.graph.initializers.get(name);
    if (!constant || tensorSize(constant) > maxEntries) return null;
    const data = readNumbers(constant);
    if (data === null) return null;
    const value = { dims: tensorDims(constant), data: Array.from(data) };
    this.values.set(name, value);
    return value;
  }

  /** The entries of a small tensor when all of them are known numbers, which integers beyond 2⁵³ are not. */
  numbers(name: string): number[] | null {
    return allNumbers(this.value(name));
  }

  /** The entries of a small tensor as sizes, null for one that is too large to be one. */
  sizes(name: string): Dim[] | null {
    return asSizes(this.value(name));
  }

  /** The entries of a small tensor as bounds of a slice, when all of them are known: good for nothing else. */
  bounds(name: string): (number | bigint)[] | null {
    const bounds = this.value(name)?.data.map(asBound);
    return bounds?.every((bound) => bound !== null) ? bounds : null;
  }

  /** The type as a file spells it. */
  valueInfo(name: string): ValueInfo {
    const { elemType, dims } = this.type(name);
    return { name, elemType, dims: dims?.map(toFile) ?? null };
  }

  /** States that an adjoint has the shape of `like`, which may say more than was inferred. */
  adopt(name: string, like: string): void {
    const { elemType, dims } = this.type(like);
    const own = this.elemType(name);
    if (dims) this.types.set(name, { elemType: own || (isFloat(elemType) ? elemType : 0), dims });
  }

  private derive(formula: string): string {
    let symbol = this.derived.get(formula);
    if (symbol === undefined) this.derived.set(formula, (symbol = `?${this.derived.size}`));
    return symbol;
  }

  /** Infers the outputs of one node from what is known of its inputs. */
  addNode(node: Node): void {
    const rule = operators.get(operatorName(node));
    if (rule) onNode(node, () => rule(this.context(node)));
    for (const output of node.outputs) {
      if (output === "") continue;
      const inferred = this.types.get(output) ?? unknown;
      // What the file declares helps where no rule says more.
      const declared = this.graph.valueInfos.get(output) ?? this.graph.outputs.find((o) => o.name === output);
      const dims = inferred.dims ?? declared?.dims?.map(fromFile) ?? null;
      this.types.set(output, {
        elemType: inferred.elemType || (declared?.elemType ?? 0),
        dims: dims?.map((dim, axis) => dim ?? this.derive(`${output}[${axis}]`)) ?? null,
      });
    }
  }

  private context(node: Node): InferContext {
    const name = (i: number): string => node.inputs[i] ?? "";
    return {
      node,
      opset: this.graph.opsets.get("") ?? 0,
      has: (i) => name(i) !== "",
      type: (i) => (name(i) === "" ? unknown : this.type(name(i))),
      dims: (i) => (name(i) === "" ? null : this.dims(name(i))),
      value: (i) => (name(i) === "" ? null : this.value(name(i))),
      sizes: (i) => (name(i) === "" ? null : this.sizes(name(i))),
      numbers: (i) => (name(i) === "" ? null : this.numbers(name(i))),
      derive: (formula) => this.derive(formula),
      body: (body, inputs = []) => {
        const around = { graph: this.graph, valueInfo: (value: string) => this.valueInfo(value) };
        const own = inputs.map(({ elemType, dims }) => ({ elemType, dims: dims?.map(toFile) ?? null }));
        const inner = bodyGraph(body, around, [], own);
        const shapes = inferShapes(inner);
        // Symbols of its own mean nothing outside.
        return inner.outputs.map((output) => shapes.valueInfo(output.name));
      },
      set: (i, elemType, dims) => {
        const output = node.outputs[i];
        // A size beyond 2⁵³ or below 0 is a broken model's; nothing is known of such a dimension.
        const valid = (dim: Dim): Dim =>
          typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0) ? null : dim;
        // A type that ONNX does not have, as a damaged Cast may ask for, is not known either.
        const type = DataType[elemType] === undefined ? 0 : elemType;
        if (output) this.types.set(output, { elemType: type, dims: dims?.map(valid) ?? null });
      },
      setValue: (value) => {
        const output = node.outputs[0];
        if (!output || !value || value.data.length > maxEntries) return;
        const known = stored(this.elemType(output), value);
        if (known) this.values.set(output, known);
      },
    };
  }
}

/** Walks a sorted graph once. */
export function inferShapes(graph: Graph): Shapes {
  return finish(inferSteps(graph));
}

export function* inferSteps(graph: Graph): Steps<Shapes> {
  const shapes = new Shapes(graph);
  for (const node of graph.nodes) {
    shapes.addNode(node);
    yield;
  }
  return shapes;
}
