/** `--generator-shape` and its like: sizes that models leave open. */
import type { ModelSpec, RunConfig } from "../config/config.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";

type ShapeSpecs = NonNullable<ModelSpec["inputShapes"]>;

export const shapeFlag = (whose: string): OptionSpec => ({
  type: "string",
  value: "NAME=SIZES",
  multiple: true,
  help: `say sizes that the ${whose} leaves open: height=64 by the name of an axis, image=?,3,64,64 by input; several times`,
});

export const inputShapeOptions = {
  "generator-shape": shapeFlag("generator"),
  "encoder-shape": shapeFlag("encoder"),
} as const satisfies Record<string, OptionSpec>;

/** The models of a run with what the line says of their sizes, over what the configuration does. @throws UsageError */
export function withInputShapes(args: Arguments, run: RunConfig): RunConfig {
  const result = { ...run };
  for (const role of ["generator", "encoder"] as const) {
    const line = readShapes(args, `${role}-shape`);
    const before = run[role];
    if (line === undefined) continue;
    if (before === undefined)
      throw args.wrong(`${role}-shape`, `--${role} with it`, Object.keys(line).join());
    result[role] = { ...before, inputShapes: { ...before.inputShapes, ...line } };
  }
  return result;
}

/** @throws UsageError */
export function readShapes(args: Arguments, name: string): ShapeSpecs | undefined {
  const given = args.texts(name);
  if (given === undefined) return undefined;
  const shapes: Record<string, number | (number | null)[]> = {};
  for (const text of [given].flat()) {
    const [, key, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    const sizes = value?.split(",").map((part) => {
      const size = part.trim();
      return size === "?" ? null : /^[1-9]\d{0,8}$/.test(size) ? Number(size) : undefined;
    });
    if (key === undefined || !sizes || !sizes.every((size) => size !== undefined) || sizes.join() === "")
      throw args.wrong(name, "NAME=SIZES, such as height=64 or image=?,3,64,64", text);
    if (Object.hasOwn(shapes, key)) throw args.wrong(name, `one value of ${key}`, text);
    const [first] = sizes;
    shapes[key] = sizes.length === 1 && typeof first === "number" ? first : sizes;
  }
  return shapes;
}
