/** `--generator-input` and its like: inputs of models that are fixed. */
import type { ModelSpec, RunConfig } from "../config/config.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";

type FixedSpecs = NonNullable<ModelSpec["inputs"]>;

const flag = (whose: string): OptionSpec => ({
  type: "string",
  value: "NAME=VALUE",
  multiple: true,
  help: `fix an input of the ${whose}: a number, numbers with commas, or a .npy, .safetensors or JSON file; several times`,
});

export const fixedInputOptions = {
  "generator-input": flag("generator"),
  "encoder-input": flag("encoder"),
} as const satisfies Record<string, OptionSpec>;

/** The models of a run with what the line fixes of them, over what the configuration does. @throws UsageError */
export function withFixedInputs(args: Arguments, run: RunConfig): RunConfig {
  const result = { ...run };
  for (const role of ["generator", "encoder"] as const) {
    const line = readFixed(args, `${role}-input`);
    const before = run[role];
    if (line === undefined) continue;
    if (before === undefined)
      throw args.wrong(`${role}-input`, `--${role} with it`, Object.keys(line).join());
    result[role] = { ...before, inputs: { ...before.inputs, ...line } };
  }
  return result;
}

function readFixed(args: Arguments, name: string): FixedSpecs | undefined {
  const given = args.texts(name);
  if (given === undefined) return undefined;
  const fixed: Record<string, FixedSpecs[string]> = {};
  for (const text of [given].flat()) {
    const [, input, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    if (input === undefined || value === undefined)
      throw args.wrong(name, "NAME=VALUE, such as truncation=0.7 or noise=noise.npy", text);
    if (Object.hasOwn(fixed, input)) throw args.wrong(name, `one value of ${input}`, text);
    const parts = value.split(",").map((part) => part.trim());
    const numbers = parts.map(Number);
    const whole = parts.every((part) => part !== "") && numbers.every(Number.isFinite);
    fixed[input] = !whole ? value : numbers.length === 1 ? numbers[0]! : numbers;
  }
  return fixed;
}
