/** The options that choose a sampler. */
import { buildSampler } from "../config/build.js";
import type { SamplerSpec } from "../config/config.js";
import { kindFlags, kindsTable } from "../options/kinds.js";
import type { Sampler } from "../sampling/sampler.js";
import { samplers } from "../sampling/samplers/index.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";

const kinds = Object.keys(samplers) as Sampler["kind"][];
const table = kindsTable(samplers);

export const samplerOptions: Readonly<Record<string, OptionSpec>> = {
  sampler: { type: "string", value: "NAME", help: `${kinds.join(", ")} (default: resample)` },
  ...table,
};

/**
 * The sampler of the line, over that of a configuration where it is of the same kind.
 *
 * @throws UsageError for an option that the chosen sampler does not have.
 */
export function readSampler(args: Arguments, before: SamplerSpec | undefined): Sampler {
  const kind = args.choice("sampler", kinds) ?? before?.kind ?? "resample";
  const flags = kindFlags(samplers[kind]);
  for (const name of Object.keys(table))
    if (args.has(name) && !flags.has(name))
      throw args.wrong(name, `a sampler that has it, not ${kind}`, args.text(name));
  return buildSampler({
    ...(kind === before?.kind ? before : {}),
    ...args.options([...flags.values()]),
    kind,
  });
}
