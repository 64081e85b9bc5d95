/** The part of a model that a Tr0n uses, where the model has more inputs than its output needs. */
import { shapeText } from "../base/check.js";
import type { Decisions } from "../base/decisions.js";
import { ArgumentError } from "../base/errors.js";
import { isProduct, type Latent } from "../latent/latent.js";
import { sourceCode } from "./inputs-advice.js";
import { OnnxModel, type LoadedModel } from "../model/model.js";

/** What each output of a model needs. */
type Needs = readonly {
  readonly output: LoadedModel["outputs"][number];
  readonly inputs: readonly string[];
}[];

/**
 * The generator without inputs that its output does not need; itself where a latent feeds them all.
 *
 * @throws what opening it so throws
 */
export async function usedGenerator(
  model: LoadedModel,
  wanted: string | undefined,
  latent: Latent | undefined,
  decisions: Decisions,
  signal: AbortSignal | undefined,
): Promise<LoadedModel> {
  if (!(model instanceof OnnxModel) || model.inputs.length < 2) return model;
  const given = isProduct(latent) ? Object.keys(latent.groups) : [];
  if (model.inputs.every(({ name }) => given.includes(name))) return model;
  const output = wanted ?? model.outputs[0]?.name;
  const found = (await needsOf(model, signal)).find((need) => need.output.name === output);
  return found ? part("generator", model, found, decisions, signal) : model;
}

/** The encoder of images in a model of several inputs, and its output. */
interface UsedEncoder {
  readonly model: LoadedModel;
  readonly output: string | undefined;
}

/**
 * The same of an encoder. Of a model with several inputs and outputs the one that makes a vector of one image is chosen,
 * where there is only one such.
 *
 * @throws ArgumentError that lists what each output needs, where none or several can be meant
 */
export async function usedEncoder(
  role: "encoder" | "pairEncoder",
  model: LoadedModel,
  wanted: string | undefined,
  decisions: Decisions,
  signal: AbortSignal | undefined,
): Promise<UsedEncoder> {
  const asItIs = { model, output: wanted };
  if (!(model instanceof OnnxModel) || model.inputs.length < 2) return asItIs;
  const needs = await needsOf(model, signal);
  const found = needs.find(({ output }) => output.name === wanted);
  const images = needs.filter(
    ({ output, inputs: [only, ...more] }) =>
      more.length === 0 && output.shape.length === 2 && isImage(model, only),
  );
  if (found) {
    if (found.inputs.length > 1 && images.length > 0)
      throw new ArgumentError(
        `${role}Output: expected an output of ${model.name} that is made of one image alone, ` +
          `${images.map(({ output }) => output.name).join(" or ")}, got "${wanted}", which is made of ${found.inputs.join(", ")}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    return { model: await part(role, model, found, decisions, signal), output: wanted };
  }
  if (wanted !== undefined || needs.length === 1) return asItIs;
  const [chosen, ...others] = images;
  if (!chosen || others.length > 0) {
    const option = role === "encoder" ? "encoderOutput" : "output";
    throw new ArgumentError(
      `${role}: ${model.name} has ${model.inputs.length} inputs, and ` +
        `${chosen ? "several outputs make" : "no output makes"} a vector of one image alone: ` +
        `${needs.map(({ output, inputs }) => `${output.name} ${shapeText(output.shape)} of ${inputs.join(", ") || "nothing"}`).join("; ")}. ` +
        (chosen
          ? `Choose one: ${option === "output" ? `loadModel(${sourceCode(model.name)}, { output: "${chosen.output.name}" })` : `encoderOutput: "${chosen.output.name}"`}`
          : `Fix inputs that are no image: loadModel(${sourceCode(model.name)}, { inputs: { ${model.inputs
              .slice(1)
              .map(({ name }) => `${JSON.stringify(name)}: 0`)
              .join(", ")} } })`),
      { code: "ERR_SHAPE_MISMATCH" },
    );
  }
  decisions.add({
    option: role === "encoder" ? "encoderOutput" : role,
    value: JSON.stringify(chosen.output.name),
    reason: `of the outputs of ${model.name} only this one is a vector that is made of one image alone`,
    certain: true,
  });
  return { model: await part(role, model, chosen, decisions, signal), output: chosen.output.name };
}

/** [N, channels, height, width] */
function isImage(model: LoadedModel, name: string | undefined): boolean {
  const input = model.inputs.find((value) => value.name === name);
  return input !== undefined && input.type.startsWith("float") && input.shape.length === 4;
}

async function needsOf(model: OnnxModel, signal: AbortSignal | undefined): Promise<Needs> {
  const needed = await model.neededInputs(signal);
  return model.outputs.map((output) => ({ output, inputs: needed[output.name]! }));
}

async function part(
  role: string,
  model: OnnxModel,
  { output, inputs }: Needs[number],
  decisions: Decisions,
  signal: AbortSignal | undefined,
): Promise<LoadedModel> {
  const unused = model.inputs.filter(({ name }) => !inputs.includes(name));
  if (unused.length === 0 || inputs.length === 0) return model;
  decisions.add({
    option: role,
    value: `used without ${unused.map(({ name }) => name).join(", ")}`,
    reason: `its output ${JSON.stringify(output.name)} does not depend on ${unused.length > 1 ? "these inputs" : "this input"}`,
    certain: true,
  });
  return model.adapted({ outputs: [output.name] }, signal);
}
