/** The latent that a generator's inputs take, and which of its numbers go into which input. */
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import {
  fillsLayers,
  groupClasses,
  isProduct,
  latent as latents,
  type GroupLatent,
  type Latent,
} from "../latent/latent.js";
import type { LatentInput } from "../latent/inputs.js";
import type { LabelInput } from "../latent/labels.js";
import { DataType } from "../onnx/index.js";
import type { LoadedModel } from "../model/model.js";
import { sizesToPass } from "../model/missing-sizes.js";
import { elementCount } from "../base/tensor.js";
import { latentAdvice } from "./inputs-advice.js";
import { checkInput, onlyInput, type ModelInput } from "./model-ends.js";

/**
 * The latent, N(0, I) by default, the generator's inputs made of it, and the rows that these declare (0: any number).
 *
 * @param counts how many classes there are, of inputs that choose a row of a table
 */
export function generatorInputs(
  generator: LoadedModel,
  given: Latent | undefined,
  counts: ReadonlyMap<string, number>,
): [Latent, readonly LatentInput[], number] {
  if (!isProduct(given)) {
    const input = onlyInput("generator", generator, counts);
    if (given && groupClasses(given) !== undefined)
      throw new ArgumentError(
        `latent: expected a latent with numbers that can be moved, got only a label; give the other inputs of ${generator.name} ` +
          "theirs in a latent.product()",
      );
    const [latent, row, broadcast] = latentOfInput(generator, input, given, "latent");
    return [latent, [{ name: input.name, begin: 0, size: latent.dim, row, broadcast }], input.shape[0] ?? 0];
  }
  const names = generator.inputs.map((input) => input.name);
  const missing = names.filter((name) => !Object.hasOwn(given.groups, name));
  const unknown = Object.keys(given.groups).filter((name) => !names.includes(name));
  if (missing.length > 0 || unknown.length > 0)
    throw new ArgumentError(
      `latent: expected a group for each input of the generator ${generator.name} (${names.join(", ")}), got ` +
        `${Object.keys(given.groups).join(", ")}. ${latentAdvice(generator, counts)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  let begin = 0;
  let batch = 0;
  const inputs = Object.entries(given.groups).map(([name, group]) => {
    const found = generator.inputs.find((value) => value.name === name)!;
    const classes = groupClasses(group);
    const rows = counts.get(name);
    if (classes !== undefined && rows !== undefined && classes > rows)
      throw new ArgumentError(
        `latent.${name}: expected at most ${rows} classes, the rows of the table that the generator ${generator.name} takes them from, ` +
          `got ${classes}`,
      );
    const input = classes === undefined ? checkInput("generator", generator, found) : found;
    const declared = input.shape[0] ?? 0;
    if (batch > 0 && declared > 0 && batch !== declared)
      throw new ArgumentError(
        `generator: expected inputs with the same batch, got ${batch} and ${declared} in ${generator.name}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    batch = Math.max(batch, declared);
    const at = begin;
    begin += group.dim;
    if (classes !== undefined) {
      const taken = labelOfInput(generator.name, input, classes, `latent.${name}`);
      return { name, begin: at, size: 1, ...taken, broadcast: false };
    }
    const [, row, broadcast] = latentOfInput(generator, input, group, `latent.${name}`);
    return { name, begin: at, size: group.dim, row, broadcast };
  });
  return [given, inputs, batch];
}

/** How an input takes a class: whole numbers [N] or [N, 1], or a number for each class. */
function labelOfInput(
  name: string,
  { shape, type }: ModelInput,
  classes: number,
  option: string,
): { readonly row: readonly number[]; readonly label: LabelInput } {
  const row = shape.slice(1).map((size) => size ?? classes);
  const size = elementCount(row);
  const elemType = labelTypes.get(type);
  if (shape.length === 0 || elemType === undefined || (size !== 1 && size !== classes))
    throw new ArgumentError(
      `${option}: expected an input of the generator ${name} that takes a class of ${classes}: [N], [N, 1] or [N, ${classes}] of ` +
        `float32, int64 or int32, got ${type} ${shapeText(shape)}; ` +
        (size > 1 ? `latent.label(${size}) is for as many classes` : "fix it by loadModel's option inputs"),
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { row, label: { classes, elemType, oneHot: size === classes } };
}

const labelTypes: ReadonlyMap<string, number> = new Map([
  ["float32", DataType.FLOAT],
  ["int64", DataType.INT64],
  ["int32", DataType.INT32],
  ["uint8", DataType.UINT8],
]);

/**
 * The latent of one input, the shape of a row of that, and whether w of a mapping network goes into every layer of it.
 */
function latentOfInput(
  generator: LoadedModel,
  { name: input, shape: declared }: ModelInput,
  given: GroupLatent | undefined,
  option: string,
): [GroupLatent, readonly number[], boolean] {
  const { name } = generator;
  const layers =
    given && fillsLayers(given) && declared.length === 3 && declared[2] === given.dim && declared[1];
  if (layers) return [given, [layers, given.dim], true];
  const row = declared.slice(1);
  const open = row.filter((dim) => dim === null).length;
  const known = elementCount(row.filter((dim): dim is number => dim !== null));
  if (open > 1 || (open === 1 && !given))
    throw new ArgumentError(
      `${option}: the generator ${name} declares its input as ${shapeText(declared)}, which does not tell the latent's size; ` +
        `say it where the model is loaded, such as ${sizesToPass(generator, input)} with sizes of yours` +
        (open > 1 ? "" : ", or pass latent.normal(dim) or another latent"),
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (known === 0)
    throw new ArgumentError(
      `generator: expected an input with numbers in it, got ${shapeText(declared)} in ${name}`,
      {
        code: "ERR_SHAPE_MISMATCH",
      },
    );
  const latent = given ?? latents.normal(known);
  if (open === 0 ? latent.dim !== known : latent.dim % known !== 0)
    throw new ArgumentError(
      `${option}: expected ${open === 0 ? known : `a multiple of ${known}`} dimensions for the generator's input ` +
        `${shapeText(declared)}, got ${latent.dim}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return [latent, row.map((dim) => dim ?? latent.dim / known), false];
}
