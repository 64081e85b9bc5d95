/** `--latent`: the prior over a generator's inputs. */
import type { RunConfig } from "../config/config.js";
import { factorised } from "../latent/kinds/factorised.js";
import { groups as kinds } from "../latent/kinds/groups.js";
import { orWords } from "../options/family.js";
import type { GroupLatentSpec, LatentSpec } from "../latent/latent.js";
import type { Arguments } from "./arguments.js";
import { UsageError } from "./errors.js";

const spellings = kinds.all().map(({ spelling }) => spelling);

/** What `--latent` takes, for the end of a command's help. */
export const latentNotes =
  `A prior is ${orWords(spellings.map(({ syntax }) => syntax))}. DIM is the generator's where left ` +
  "out. BigGAN: --latent z=truncated,y=table:classes.safetensors.";

/** What `--latent-bound` is, by prior. */
export const boundHelp = spellings
  .flatMap(({ word, bound }) => (bound?.help ? [`${word}: ${bound.help}`] : []))
  .join("; ");

const boundedWords = orWords(spellings.flatMap(({ word, bound }) => (bound?.help ? [word] : [])));

/**
 * Reads `--latent`, `--latent-dim` and `--latent-bound`, as a function of a configuration's latent that they change.
 *
 * @throws UsageError, the function too
 */
export function readLatent(args: Arguments): (before: LatentSpec | undefined) => LatentSpec | undefined {
  const parts = args.list("latent");
  const dim = args.integer("latent-dim", 1, 2 ** 24);
  const bound = args.number("latent-bound", { above: 0 });
  const given = parts && readParts(args, parts);
  return (before) => {
    const same = given !== undefined && before?.kind === given.kind && isFactorised(before);
    const base = same
      ? ({ ...before, ...given } as LatentSpec)
      : (given ?? before ?? (dim === undefined ? undefined : ({ kind: "normal" } as const)));
    if (dim !== undefined && !(base && isFactorised(base)))
      throw args.wrong("latent-dim", "none for this prior, whose parts have their own", dim);
    if (bound !== undefined && !hasBound(base))
      throw args.wrong("latent-bound", `--latent ${boundedWords} with it`, bound);
    return base && withSizes(base, dim, bound);
  };
}

/** @throws UsageError for a mapped latent without its mapping network, or the other way round */
export function checkMapping(args: Arguments, run: RunConfig): void {
  const parts = run.latent?.kind === "product" ? Object.values(run.latent.groups) : [run.latent];
  const mapped = parts.some((part) => part && kinds.find(part)?.needsMapping);
  const file = args.text("config");
  const told = file === undefined ? "" : `, or "mapping" in ${file}`;
  if (mapped && !run.mapping)
    throw new UsageError(`--latent mapped: expected --mapping FILE with it${told}, got none`, args.command);
  if (run.mapping && !mapped)
    throw new UsageError(
      `--mapping: expected --latent mapped with it, got ${run.mapping.model}`,
      args.command,
    );
}

/** Those whose size the line may say. */
function isFactorised(spec: LatentSpec): boolean {
  return factorised.find(spec) !== undefined;
}

/** The options that `--latent-bound` changes; undefined where a part has no bound. */
function boundOptions(spec: GroupLatentSpec, bound: number): object | undefined {
  return kinds.of(spec).spelling.bound?.set(spec, bound);
}

function hasBound(spec: LatentSpec | undefined): boolean {
  if (spec?.kind === "product") return Object.values(spec.groups).some(hasBound);
  return kinds.find(spec) !== undefined && boundOptions(spec as GroupLatentSpec, 1) !== undefined;
}

/** With `--latent-dim`, and `--latent-bound` wherever a bound belongs. */
function withSizes(spec: LatentSpec, dim: number | undefined, bound: number | undefined): LatentSpec {
  if (spec.kind === "product") {
    const groups = Object.entries(spec.groups).map(([name, group]) => [name, withSizes(group, dim, bound)]);
    return { ...spec, groups: Object.fromEntries(groups) as Record<string, GroupLatentSpec> };
  }
  if (!kinds.find(spec)) return spec;
  const limits = bound === undefined ? {} : boundOptions(spec as GroupLatentSpec, bound);
  return { ...spec, ...(dim !== undefined && isFactorised(spec) ? { dim } : {}), ...limits } as LatentSpec;
}

function readParts(args: Arguments, parts: readonly string[]): LatentSpec {
  const read = parts.map((part): [string | undefined, GroupLatentSpec] => {
    const [, name, text] = /^(?:([^=:]+)=)?(.*)$/.exec(part)!;
    return [name, readPrior(args, text!)];
  });
  if (read.length === 1 && read[0]![0] === undefined) return read[0]![1];
  const names = new Set(read.map(([name]) => name));
  if (names.has(undefined) || names.size < read.length)
    throw args.wrong(
      "latent",
      "one prior, or NAME=PRIOR once for every input of the generator",
      parts.join(),
    );
  return { kind: "product", groups: Object.fromEntries(read) as Record<string, GroupLatentSpec> };
}

/** One prior: its word, and what its kind takes behind it. */
function readPrior(args: Arguments, text: string): GroupLatentSpec {
  const [word, ...rest] = text.split(":");
  const kind = kinds.all().find(({ spelling }) => spelling.word === word);
  const options = kind?.spelling.read(rest);
  if (!options)
    throw args.wrong(
      "latent",
      `${orWords(spellings.map((spelling) => spelling.word))}, with numbers or a file as the help says`,
      text,
    );
  return { kind: kind!.kind, ...options } as GroupLatentSpec;
}
