/** A translator's sizes, read off the tensors of a file. */
import { shapeText } from "../base/check.js";
import { FileError } from "../base/errors.js";
import type { Safetensors } from "../base/safetensors.js";
import type { TranslatorShape } from "./shape.js";

/** What a file calls a parameter: the paper's code has w_… in the place of z_… for a generator with a mapping network. */
export function nameInFile(file: Safetensors, name: string): string {
  return file.tensors.has("w_layer.weight") ? name.replace(/^z_/, "w_") : name;
}

/**
 * What the tensors tell: everything but the bound.
 *
 * @throws FileError ERR_FILE_INVALID for tensors that are no translator's
 */
export function shapeOfTensors(file: Safetensors, fileName: string): Omit<TranslatorShape, "bound"> {
  const { tensors } = file;
  const fail = (what: string): FileError =>
    new FileError("ERR_FILE_INVALID", `${fileName}: expected ${what}`);
  const matrix = (own: string): readonly [number, number] => {
    const name = nameInFile(file, own);
    const shape = tensors.get(name)?.shape;
    if (shape?.length !== 2 || shape.some((dim) => dim < 1))
      throw fail(`a matrix "${name}", got ${shape ? shapeText(shape) : "none"}`);
    return [shape[0]!, shape[1]!];
  };
  const [hidden, condition] = matrix("shared1.weight");
  const coded = tensors.has(nameInFile(file, "z_codes.weight"));
  const head = coded ? "z_codes.weight" : "z_layer.weight";
  const [outputs] = matrix(head);
  const [basis, rank] = coded ? matrix("z_basis.weight") : [0, 0];
  const deterministic = ![...tensors.keys()].some((name) => /^[zw]_(mixture_logits\.|log_stds$)/.test(name));
  const components = deterministic ? 1 : matrix("z_mixture_logits.weight")[0];
  if (outputs % components !== 0)
    throw fail(`"${nameInFile(file, head)}" to have a multiple of ${components} rows, got ${outputs}`);
  if (coded && outputs !== components * rank)
    throw fail(
      `"${nameInFile(file, head)}" to have ${components} × ${rank} rows, the last for the columns of its basis, got ${outputs}`,
    );
  let depth = 1;
  while (tensors.has(`shared${depth + 2}.weight`)) depth++;
  const stds = tensors.get(nameInFile(file, "z_log_stds"))?.shape;
  return {
    condition,
    latent: coded ? basis : outputs / components,
    rank,
    components,
    hidden,
    depth,
    auxiliary: tensors.has("y_layer.weight") ? matrix("y_layer.weight")[0] : 0,
    stds: stds?.length === 3 && stds[1]! > 1 ? "component" : "shared",
    deterministic,
  };
}
