/** What inputs and outputs a model must have to serve as generator or encoder. */
import { shapeText } from "../base/check.js";
import { ArgumentError, ModelError, invalid } from "../base/errors.js";
import type { LoadedModel } from "../model/model.js";

export function onlyInput(role: string, model: LoadedModel): ModelInput {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || !input)
    throw new ArgumentError(
      `${role}: expected a model with one input, got ${model.inputs.length} in ${model.name}: ` +
        model.inputs.map((value) => `${value.name} ${shapeText(value.shape)}`).join(", ") +
        (role === "generator" && model.inputs.length > 1
          ? `. Give all of them a latent: latent.product({ ${model.inputs.map((v) => `${v.name}: …`).join(", ")} }); or export`
          : ". Export") +
        " it with the other inputs fixed, from a module that holds them as constants",
    );
  return checkInput(role, model, input);
}

export type ModelInput = LoadedModel["inputs"][number];

export function checkInput(role: string, model: LoadedModel, input: ModelInput): ModelInput {
  if (input.type !== "float32")
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${model.name}: expected a float32 input, got ${input.type}; export the model in float32`,
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
