/** Preprocessing stages as small ONNX graphs, to be joined behind a generator. */
import { ArgumentError, ModelError } from "../base/errors.js";
import { defaultRange, type Range } from "../base/range.js";
import {
  Builder,
  DataType,
  compose,
  decodeModel,
  emptyGraph,
  floatEdges,
  halvesInFloat32,
  refuseExternal,
  typeName,
  type Dim,
  type Graph,
} from "../onnx/index.js";
import { stages, type Stage } from "./stages/index.js";

/**
 * A stage: image [N, …] → staged [N, …]. `dims` is what comes in, `range` that of its values.
 *
 * @throws ArgumentError for a model whose input and output are not as stage.fromOnnx() says; ModelError when it cannot be read
 */
export function stageGraph(
  stage: Stage,
  dims: readonly Dim[],
  range: Range = defaultRange,
  name = `stage.${stage.kind}`,
): Graph {
  const kind = stages.of(stage);
  const b = new Builder(emptyGraph(`tr0n_${stage.kind}`));
  const x = b.input("image", DataType.FLOAT, [...dims]);
  if (kind.model) return joinOwn(b, x, kind.model(stage), name);
  b.output("staged", kind.emit!(b, x, stage, range));
  return b.graph;
}

function joinOwn(b: Builder, x: string, model: Uint8Array, name: string): Graph {
  const own = halvesInFloat32(floatEdges(decodeModel(model, name)));
  refuseExternal(own, name);
  const [input, output] = [own.inputs[0], own.outputs[0]];
  if (own.inputs.length !== 1 || own.outputs.length !== 1 || !input || !output)
    throw new ArgumentError(
      `${name}: expected a model with one input and one output, got ${own.inputs.length} and ${own.outputs.length}`,
    );
  for (const { name: value, elemType } of [input, output])
    if (elemType !== DataType.FLOAT)
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `${name}: expected "${value}" to be float32, got ${typeName(elemType)}; export the model in float32`,
      );
  b.output("to_stage", b.op("Identity", [x]));
  const end = new Builder(emptyGraph("tr0n_staged"));
  end.output("staged", end.op("Identity", [end.input("from_stage", DataType.FLOAT, null)]));
  try {
    const front = compose(b.graph, own, { [input.name]: "to_stage" }, { prefix: "own/", keepOutputs: [] });
    const made = front.outputs[0]!.name;
    return compose(front, end.graph, { from_stage: made }, { prefix: "end/", keepOutputs: [] });
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new ArgumentError(`${name}: ${error.message}`, { code: "ERR_SHAPE_MISMATCH", cause: error });
  }
}
