/** The options that choose a sampler. */
import { buildSampler } from "../config/build.js";
import type { SamplerSpec } from "../config/config.js";
import { sampler, type Sampler } from "../sampling/sampler.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";

export const samplerOptions = {
  sampler: {
    type: "string",
    value: "NAME",
    help: "resample, mala, langevin, hybrid or direct (default: resample)",
  },
  steps: { type: "string", value: "N", help: "steps (default: the sampler's; resample 4)" },
  fidelity: { type: "string", value: "X", help: "weight of the condition against the prior (default 1)" },
  candidates: { type: "string", value: "N", help: "resample: candidates a sample (default 16)" },
  rounds: { type: "string", value: "N", help: "resample: rounds of candidates and steps (default 1)" },
  adapt: {
    type: "string",
    value: "HOW",
    help: "resample, mala: step sizes by chain, in a pilot run and then frozen, or off (chain, pilot, none; default: chain)",
  },
  start: {
    type: "string",
    value: "NAME",
    help: "mala, langevin, direct: translator, mode or prior (default: translator)",
  },
} as const satisfies Record<string, OptionSpec>;

/**
 * The sampler of the line, over that of a configuration where it is of the same kind.
 *
 * @throws UsageError for an option that the chosen sampler does not have.
 */
export function readSampler(args: Arguments, before: SamplerSpec | undefined): Sampler {
  const kind =
    args.choice("sampler", Object.keys(sampler) as Sampler["kind"][]) ?? before?.kind ?? "resample";
  const has = {
    resample: ["steps", "fidelity", "candidates", "rounds", "adapt"],
    mala: ["steps", "fidelity", "adapt", "start"],
    langevin: ["steps", "fidelity", "start"],
    hybrid: ["steps", "fidelity"],
    direct: ["start"],
  }[kind];
  for (const name of ["steps", "fidelity", "candidates", "rounds", "adapt", "start"])
    if (args.has(name) && !has.includes(name))
      throw args.wrong(name, `a sampler that has it, not ${kind}`, args.text(name));
  const adapt = args.choice("adapt", ["chain", "pilot", "none"]);
  const options = Object.entries({
    steps: args.integer("steps", 0),
    fidelity: args.number("fidelity", { atLeast: 0 }),
    candidates: args.integer("candidates", 1),
    rounds: args.integer("rounds", 1, 4096),
    adapt: adapt && { chain: true, pilot: "pilot" as const, none: false }[adapt],
    start: args.choice("start", ["translator", "mode", "prior"]),
  }).filter(([, value]) => value !== undefined);
  return buildSampler({ ...(kind === before?.kind ? before : {}), ...Object.fromEntries(options), kind });
}
