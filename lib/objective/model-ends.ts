/** What inputs and outputs a model must have to serve as generator or encoder. */
import { shapeText } from "../base/check.js";
import { ArgumentError, ModelError, invalid } from "../base/errors.js";
import type { LoadedModel } from "../model/model.js";
import { inputsText, latentAdvice, sourceCode } from "./inputs-advice.js";

/** @param classes of a generator's inputs that choose a row of a table */
export function onlyInput(
  role: string,
  model: LoadedModel,
  classes: ReadonlyMap<string, number> = new Map(),
): ModelInput {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || !input)
    throw new ArgumentError(
      `${role}: expected a model with one input, got ${model.inputs.length} in ${model.name}: ${inputsText(model.inputs)}` +
        (model.inputs.length === 0
          ? ""
          : role === "generator"
            ? `. ${latentAdvice(model, classes)}`
            : `. Fix the others, with values of yours: loadModel(${sourceCode(model.name)}, { inputs: { ` +
              `${model.inputs
                .slice(1)
                .map(({ name }) => `${JSON.stringify(name)}: 0`)
                .join(", ")} } })`),
    );
  return checkInput(role, model, input);
}

export type ModelInput = LoadedModel["inputs"][number];

export function checkInput(role: string, model: LoadedModel, input: ModelInput): ModelInput {
  if (input.type !== "float32")
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${model.name}: expected a float32 input, got ${input.type} ${shapeText(input.shape)} for ${input.name}; ` +
        (role === "generator" && input.type.includes("int")
          ? `latent.label(classes) draws classes, and loadModel(${sourceCode(model.name)}, { inputs: { ` +
            `${JSON.stringify(input.name)}: 0 } }) fixes it`
          : "export the model in float32"),
    );
  if (input.shape.length < 2)
    throw new ArgumentError(
      `${role}: expected an input [batch, …], got ${shapeText(input.shape)} in ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return input;
}

export function pickOutput(role: string, model: LoadedModel, wanted: string | undefined): string {
  const output =
    wanted === undefined ? model.outputs[0] : model.outputs.find((value) => value.name === wanted);
  if (!output)
    throw invalid(
      `${role}Output`,
      `one of ${model.outputs.map((v) => JSON.stringify(v.name)).join(", ")}`,
      wanted,
    );
  if (output.type !== "float32")
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${model.name}: expected a float32 output "${output.name}", got ${output.type}` +
        (model.outputs.some((value) => value.type === "float32")
          ? `; ${role}Output chooses another`
          : "; export the model in float32"),
    );
  return output.name;
}
