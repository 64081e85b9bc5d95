/**
 * Emits nodes into a graph: what the differentiation rules and this library's own stages are written with.
 *
 *     const b = new Builder(emptyGraph("square"));
 *     const x = b.input("x", DataType.FLOAT, ["batch", 3]);
 *     b.output("y", b.op("Mul", [x, x]));
 *     encodeModel(b.graph);
 *
 * Equal constants are stored once and equal nodes are emitted once. The shapes of what was emitted are known at
 * once (`b.shapes`).
 */
import { makeAttribute, type AttributeValue } from "./attributes.js";
import { describeNode, identity, Names, nodeReads, type Dim, type Graph, type Node } from "./graph.js";
import { LimitError, maxAllMadeElements, maxMadeElements, maxNodes } from "./limits.js";
import { inferShapes, type Shapes } from "./shapes.js";
import { isStatic, same } from "./shapes/dims.js";
import { DataType, isFloat, makeTensor } from "./tensors.js";

export type Attributes = Record<string, AttributeValue | undefined>;

/** Rows that are summed by a product with ones, which are a constant as long as the row. */
const longestRow = 1 << 20;

export class Builder {
  readonly names: Names;
  private readonly constants = new Map<string, string>();
  private readonly emitted = new Map<string, string[]>();
  /** Elements of the constants that were made. */
  private madeElements = 0;
  /** Where in `graph.nodes` each value is made. */
  private readonly makers = new Map<string, number>();

  /**
   * @param graph sorted; nodes are appended to it
   * @param prefix of the names of everything emitted
   * @param shapes of the graph, where somebody has inferred them already
   */
  constructor(
    readonly graph: Graph,
    private readonly prefix = "",
    readonly shapes: Shapes = inferShapes(graph),
  ) {
    this.names = new Names(graph);
    graph.nodes.forEach((node, index) => this.made(node, index));
  }

  // Nodes -------------------------------------------------------------------------------------------

  /** One node with one output, whose name is returned. Optional inputs that are left out are null. */
  op(opType: string, inputs: readonly (string | null)[], attributes: Attributes = {}): string {
    return this.ops(opType, inputs, 1, attributes)[0]!;
  }

  /** As `op`, for a node with several outputs. */
  ops(
    opType: string,
    inputs: readonly (string | null)[],
    outputs: number,
    attributes: Attributes = {},
  ): string[] {
    const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
    const key = given.some(([, value]) => typeof value === "object" && !Array.isArray(value))
      ? null
      : JSON.stringify([opType, inputs, outputs, given], (_, value: unknown) =>
          typeof value === "bigint" ? `${value}n` : value,
        );
    const before = key === null ? undefined : this.emitted.get(key);
    if (before) return before;
    const name = this.names.fresh(`${this.prefix}${opType}`);
    const node: Node = {
      opType,
      domain: "",
      name,
      overload: "",
      inputs: inputs.map((input) => input ?? ""),
      outputs: Array.from({ length: outputs }, (_, i) => this.names.fresh(`${name}:${i}`)),
      attributes: new Map(given.map(([key, value]) => [key, makeAttribute(key, value!)])),
    };
    while (node.inputs.at(-1) === "") node.inputs.pop();
    this.append(node);
    if (key !== null) this.emitted.set(key, node.outputs);
    return node.outputs;
  }

  /** Appends a node that was made elsewhere. */
  append(node: Node): void {
    if (this.graph.nodes.length >= maxNodes)
      throw new LimitError(`the graph would have more than ${maxNodes} nodes, at ${describeNode(node)}`);
    this.graph.nodes.push(node);
    this.made(node, this.graph.nodes.length - 1);
    this.shapes.addNode(node);
  }

  /** The node that makes a value; undefined for inputs and constants. */
  maker(value: string): Node | undefined {
    const index = this.makers.get(value);
    return index === undefined ? undefined : this.graph.nodes[index];
  }

  /** Whether a value is a constant, or a few steps from constants, which the runtime folds when it opens the model. */
  isConstant(value: string, steps = 8): boolean {
    if (this.graph.initializers.has(value)) return true;
    const node = this.maker(value);
    return (
      node !== undefined &&
      steps > 0 &&
      node.inputs.every((input) => input === "" || this.isConstant(input, steps - 1))
    );
  }

  private made(node: Node, index: number): void {
    for (const output of node.outputs) this.makers.set(output, index);
  }

  /** The nodes on the way from `leaves` (and constants) to `value`, in order. */
  nodesBetween(leaves: readonly string[], value: string): Node[] {
    const found = new Set<number>();
    // A stack of its own: a file's chains may be longer than JavaScript's.
    const open = [value];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const index = leaves.includes(name) ? undefined : this.makers.get(name);
      if (index === undefined || found.has(index)) continue;
      found.add(index);
      for (const input of nodeReads(this.graph.nodes[index]!)) open.push(input);
    }
    return [...found].sort((p, q) => p - q).map((index) => this.graph.nodes[index]!);
  }

  // Inputs, outputs, constants ----------------------------------------------------------------------

  input(name: string, elemType: number, dims: Dim[] | null): string {
    const info = { name: this.names.fresh(name), elemType, dims };
    this.graph.inputs.push(info);
    this.shapes.addInput(info);
    return info.name;
  }

  /** Makes `value` a graph output called `name`. */
  output(name: string, value: string): void {
    if (name !== value) this.append(identity(value, this.names.fresh(name)));
    this.graph.outputs.push({ ...this.shapes.valueInfo(value), name });
  }

  constant(data: ArrayLike<number | bigint>, dims: readonly number[], elemType: number): string {
    const small = data.length <= 64;
    const key = small
      ? `${elemType}[${dims.join(",")}]${Array.from(data, (x) => (Object.is(x, -0) ? "-0" : x)).join(",")}`
      : "";
    const before = small ? this.constants.get(key) : undefined;
    if (before !== undefined) return before;
    if ((this.madeElements += data.length) > maxAllMadeElements)
      throw new LimitError(
        `the constants that the graph would need have more than ${maxAllMadeElements} elements`,
      );
    const name = this.names.fresh(`${this.prefix}const`);
    this.graph.initializers.set(name, makeTensor(name, elemType, dims, data));
    if (small) this.constants.set(key, name);
    return name;
  }

  /** A constant of one number again and again, of the element type of `like`. */
  filled(value: number, dims: readonly number[], like: string): string {
    const count = dims.reduce((p, q) => p * q, 1);
    if (!(count <= maxMadeElements))
      throw new LimitError(
        `a constant [${dims.join(", ")}] is needed, and ${maxMadeElements} elements are the most that is made`,
      );
    return this.constantLike(new Float64Array(count).fill(value), dims, like);
  }

  /** An int64 vector: axes, shapes, pads. */
  ints(values: readonly (number | bigint)[]): string {
    return this.constant(values, [values.length], DataType.INT64);
  }

  /** An int64 scalar. */
  int(value: number | bigint): string {
    return this.constant([value], [], DataType.INT64);
  }

  /** A scalar of the element type of `like`. */
  scalar(value: number, like: string): string {
    return this.constantLike([value], [], like);
  }

  /** A constant of the element type of `like`. */
  constantLike(data: ArrayLike<number>, dims: readonly number[], like: string): string {
    const elemType = this.shapes.elemType(like);
    if (isFloat(elemType) && elemType !== DataType.BFLOAT16) return this.constant(data, dims, elemType);
    return this.op("CastLike", [this.constant(data, dims, DataType.FLOAT), like]);
  }

  /** `value` in the element type of `like`. */
  castLike(value: string, like: string): string {
    const [from, to] = [this.shapes.elemType(value), this.shapes.elemType(like)];
    if (to === 0) return this.op("CastLike", [value, like]);
    return from === to ? value : this.op("Cast", [value], { to });
  }

  // Shapes ------------------------------------------------------------------------------------------

  rank(value: string): number | null {
    return this.shapes.dims(value)?.length ?? null;
  }

  /** The run-time shape as an int64 vector; a constant where it is known already. */
  shapeOf(value: string): string {
    const dims = this.shapes.staticDims(value);
    return dims ? this.ints(dims) : this.op("Shape", [value]);
  }

  /** Some of the sizes of a value, as an int64 vector. */
  sizes(value: string, axes: readonly number[]): string {
    const dims = this.shapes.dims(value);
    const picked = axes.map((axis) => dims?.at(axis) ?? null);
    if (isStatic(picked)) return this.ints(picked);
    return this.op("Gather", [this.shapeOf(value), this.ints(axes)], { axis: 0 });
  }

  /** The number of elements, an int64 scalar. */
  count(value: string): string {
    const dims = this.shapes.staticDims(value);
    const count = dims?.reduce((p, q) => p * q, 1);
    return Number.isSafeInteger(count) ? this.int(count!) : this.op("Size", [value]);
  }

  /** 1 / (the number of elements along `axes`), a scalar of the type of `value`. */
  inverseCount(value: string, axes: readonly number[]): string {
    const sizes = axes.map((axis) => this.shapes.dims(value)?.at(axis) ?? null);
    if (isStatic(sizes)) return this.scalar(1 / sizes.reduce((p, q) => p * q, 1), value);
    const count = this.op("ReduceProd", [this.sizes(value, axes)], { keepdims: 0 });
    return this.op("Reciprocal", [this.castLike(count, value)]);
  }

  /** Zeros (or another number) of the shape and type of `like`. */
  filledLike(value: number, like: string): string {
    return this.op("Expand", [this.scalar(value, like), this.shapeOf(like)]);
  }

  /** `value` with the shape of `like`, which has as many elements. */
  reshapeLike(value: string, like: string): string {
    const [from, to] = [this.shapes.dims(value), this.shapes.dims(like)];
    if (from && to && from.length === to.length && from.every((dim, i) => same(dim, to[i]!))) return value;
    // One size that is not known follows from the others, unless they are zero.
    const open = to?.filter((dim) => typeof dim !== "number").length ?? Infinity;
    // 0 copies the size, and with it the runtime's name of the dimension: where it knows that two shapes are equal it
    // can fuse more (see rules/blocked.ts).
    const size = (dim: Dim, axis: number): number =>
      typeof dim === "number" ? dim : dim !== null && same(dim, from?.[axis] ?? null) ? 0 : -1;
    const target = to && open <= 1 && !to.includes(0) ? this.ints(to.map(size)) : null;
    return this.op("Reshape", [value, target ?? this.shapeOf(like)], target ? {} : { allowzero: 1 });
  }

  /** Reshape to sizes of which at most one is -1; strings are scalars or vectors of one int64 made before. */
  reshape(value: string, sizes: readonly (number | string)[]): string {
    const target = sizes.every((size) => typeof size === "number")
      ? this.ints(sizes as number[])
      : this.op(
          "Concat",
          sizes.map((size) => (typeof size === "number" ? this.ints([size]) : size)),
          { axis: 0 },
        );
    return this.op("Reshape", [value, target]);
  }

  unsqueeze(value: string, axes: readonly number[]): string {
    return axes.length === 0 ? value : this.op("Unsqueeze", [value, this.ints(axes)]);
  }

  /** Sum over axes. */
  sum(value: string, axes: readonly number[], keep: boolean): string {
    if (axes.length === 0) return value;
    const length = this.oddRowLength(value, axes);
    if (length === null) return this.op("ReduceSum", [value, this.ints(axes)], { keepdims: keep ? 1 : 0 });
    if (length > longestRow) {
      // Zeros make a multiple of 4 of it.
      const rows = this.op("Pad", [value, this.ints([0, 4 - (length % 4)]), null, this.ints([-1])]);
      return this.op("ReduceSum", [rows, this.ints(axes)], { keepdims: keep ? 1 : 0 });
    }
    const column = this.op("MatMul", [value, this.filled(1, [length, 1], value)]);
    return keep ? column : this.op("Squeeze", [column, this.ints([-1])]);
  }

  /**
   * The length of the rows where `axes` is the last axis alone and the length is no multiple of 4, else null. ONNX
   * Runtime's reductions over such rows round by the row's place in memory, so the same row would give other bits
   * elsewhere in a batch; a product with ones does not.
   */
  private oddRowLength(value: string, axes: readonly number[]): number | null {
    const dims = this.shapes.dims(value);
    if (!dims || dims.length < 2 || axes.length !== 1) return null;
    const last = dims.at(-1)!;
    const isLast = axes[0] === -1 || axes[0] === dims.length - 1;
    return isLast && typeof last === "number" && last > 1 && last % 4 !== 0 ? last : null;
  }

  /**
   * Sums `value`, which has the shape that broadcasting gave to `wide`, down to the shape of `target`: the
   * adjoint of broadcasting `target` to `wide`. Static where the shapes are known, else at run time.
   */
  sumTo(value: string, wide: string, target: string): string {
    const [from, to] = [this.shapes.dims(wide), this.shapes.dims(target)];
    if (wide === target) return value;
    if (from && to && to.length <= from.length) {
      const lead = from.length - to.length;
      const axes: number[] = [];
      let certain = true;
      from.forEach((dim, axis) => {
        const own = axis < lead ? 1 : to[axis - lead]!;
        if (own === 1 && dim !== 1) axes.push(axis);
        // A size that is a fixed number other than 1 was not broadcast; a symbol may be 1 at run time.
        else if (typeof own !== "number" && !same(own, dim)) certain = false;
      });
      if (certain) {
        const leading = axes.filter((axis) => axis < lead);
        const summed =
          lead > 0 && axes.length === leading.length
            ? this.sum(value, axes, false)
            : this.sum(value, axes, true);
        return lead > 0
          ? leading.length === lead && axes.length === lead
            ? summed
            : this.reshapeLike(summed, target)
          : summed;
      }
    }
    return this.sumAtRunTime(value, wide, target);
  }

  private sumAtRunTime(value: string, wide: string, target: string): string {
    const [wideShape, targetShape] = [this.op("Shape", [wide]), this.op("Shape", [target])];
    const [from, to] = [this.rank(wide), this.rank(target)];
    let padded = targetShape;
    if (from === null || to === null) {
      const missing = this.op("Sub", [this.op("Shape", [wideShape]), this.op("Shape", [targetShape])]);
      padded = this.op("Concat", [this.op("Expand", [this.int(1), missing]), targetShape], { axis: 0 });
    } else if (from > to) {
      padded = this.op("Concat", [this.ints(new Array<number>(from - to).fill(1)), targetShape], { axis: 0 });
    }
    const differs = this.op("Not", [this.op("Equal", [padded, wideShape])]);
    const axes = this.op("Reshape", [this.op("NonZero", [differs]), this.ints([-1])]);
    const summed = this.op("ReduceSum", [value, axes], { keepdims: 1, noop_with_empty_axes: 1 });
    return from !== null && from === to
      ? summed
      : this.op("Reshape", [summed, targetShape], { allowzero: 1 });
  }
}
