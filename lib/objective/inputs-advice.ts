/** What to do about a generator with several inputs, in code that works for this one. */
import { shapeText } from "../base/check.js";
import { knownElementCount } from "../base/tensor.js";
import { bytesName } from "../model/source.js";
import type { ValueInfo } from "../model/interface.js";

interface Advised {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
}

/** "z float32 [?, 8], label int64 [?]" */
export function inputsText(inputs: readonly ValueInfo[]): string {
  return inputs.map(({ name, type, shape }) => `${name} ${type} ${shapeText(shape)}`).join(", ");
}

/**
 * A latent for each input that can have one, and values for the others.
 *
 * @param classes of inputs that choose a row of a table
 */
export function latentAdvice({ name, inputs }: Advised, classes: ReadonlyMap<string, number>): string {
  const drawn = inputs.flatMap((input) => {
    const latent = latentFor(input, classes);
    return latent === null ? [] : [{ input, latent }];
  });
  const scalars = inputs.filter((input) => latentFor(input, classes) === null);
  // The first of floats is the latent; all others can stand still.
  const moving = inputs.find((input) => isFloat(input) && latentFor(input, classes) !== null);
  const others = inputs.filter((input) => input !== moving);
  const product = `latent.product({ ${drawn.map(({ input, latent }) => `${key(input.name)}: ${latent}`).join(", ")} })`;
  const fixed = (some: readonly ValueInfo[]): string =>
    `loadModel(${sourceCode(name)}, { inputs: { ${some.map((input) => `${key(input.name)}: ${isFloat(input) && input.shape.length < 2 ? 1 : 0}`).join(", ")} } })`;
  if (scalars.length === 0)
    return `Draw all of them, latent: ${product}; or fix those that do not vary, with values of yours: ${fixed(others)}`;
  const rest = drawn.length > 1 ? `, and draw the others: latent: ${product}` : "";
  return `Fix ${scalars.map((input) => input.name).join(", ")}, with a value of yours: ${fixed(drawn.length > 1 ? scalars : others)}${rest}`;
}

/** The code of a latent for an input; null where it has no axis of rows. */
function latentFor(input: ValueInfo, classes: ReadonlyMap<string, number>): string | null {
  const { name, type, shape } = input;
  const row = shape.slice(1);
  if (shape.length === 0 || (shape.length === 1 && shape[0] === 1)) return null;
  if (isFloat(input)) return shape.length < 2 ? null : `latent.normal(${knownElementCount(row)})`;
  return type.includes("int") && knownElementCount(row) === 1
    ? `latent.label(${classes.get(name) ?? 1000})`
    : null;
}

function isFloat({ type }: ValueInfo): boolean {
  return type.startsWith("float");
}

/** What loadModel() was given, in code. */
export function sourceCode(name: string): string {
  return name === bytesName ? "bytes" : JSON.stringify(name);
}

/** A key of an object in code. */
function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
