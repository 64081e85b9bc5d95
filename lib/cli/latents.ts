/** `--latent`: the prior over a generator's inputs. */
import type { RunConfig } from "../config/config.js";
import type { GroupLatentSpec, LatentSpec, SimpleLatentSpec } from "../config/latent.js";
import type { Arguments } from "./arguments.js";
import { UsageError } from "./errors.js";

/** What `--latent` takes, for the end of a command's help. */
export const latentNotes =
  "A prior is normal[:DIM[:STD]], truncated[:DIM[:BOUND]], uniform[:DIM[:BOUND]], table:FILE (rows of a matrix, .safetensors " +
  "or JSON) or mapped[:BASE] (what the --mapping network makes of BASE, by default normal). DIM is the generator's where left " +
  "out. BigGAN: --latent z=truncated,y=table:classes.safetensors.";

const kinds = { normal: "normal", truncated: "truncatedNormal", uniform: "uniform" } as const;

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
    const same = given !== undefined && before?.kind === given.kind && isSimple(before);
    const base = same
      ? { ...before, ...given }
      : (given ?? before ?? (dim === undefined ? undefined : normal()));
    if (dim !== undefined && !isSimple(base))
      throw args.wrong("latent-dim", "none for this prior, whose parts have their own", dim);
    if (bound !== undefined && !hasBound(base))
      throw args.wrong("latent-bound", "--latent truncated or uniform with it", bound);
    return base && withSizes(base, dim, bound);
  };
}

/** @throws UsageError for a mapped latent without its mapping network, or the other way round */
export function checkMapping(args: Arguments, run: RunConfig): void {
  const parts = run.latent?.kind === "product" ? Object.values(run.latent.groups) : [run.latent];
  const mapped = parts.some((part) => part?.kind === "mapped");
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

const normal = (): SimpleLatentSpec => ({ kind: "normal" });

function isSimple(spec: LatentSpec | undefined): spec is SimpleLatentSpec {
  return spec !== undefined && Object.values(kinds).some((kind) => kind === spec.kind);
}

function hasBound(spec: LatentSpec | undefined): boolean {
  if (spec?.kind === "product") return Object.values(spec.groups).some(hasBound);
  if (spec?.kind === "mapped") return hasBound(spec.base);
  return spec?.kind === "truncatedNormal" || spec?.kind === "uniform";
}

/** With `--latent-dim`, and `--latent-bound` wherever a bound belongs. */
function withSizes<T extends LatentSpec>(spec: T, dim: number | undefined, bound: number | undefined): T {
  if (spec.kind === "product") {
    const groups = Object.entries(spec.groups).map(([name, group]) => [name, withSizes(group, dim, bound)]);
    return { ...spec, groups: Object.fromEntries(groups) as Record<string, GroupLatentSpec> };
  }
  if (spec.kind === "mapped" && spec.base) return { ...spec, base: withSizes(spec.base, undefined, bound) };
  if (!isSimple(spec)) return spec;
  const limits =
    bound === undefined || spec.kind === "normal"
      ? {}
      : spec.kind === "uniform"
        ? { low: -bound, high: bound }
        : { bound };
  return { ...spec, ...(dim === undefined ? {} : { dim }), ...limits };
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

/** One prior: kind[:number[:number]], table:FILE or mapped[:base]. */
function readPrior(args: Arguments, text: string): GroupLatentSpec {
  const [kind, ...rest] = text.split(":");
  if (kind === "table" && rest.join(":") !== "") return { kind: "table", file: rest.join(":") };
  if (kind === "mapped")
    return rest.length > 0
      ? { kind: "mapped", base: readSimple(args, rest.join(":"), text) }
      : { kind: "mapped" };
  return readSimple(args, text, text);
}

function readSimple(args: Arguments, prior: string, text: string): SimpleLatentSpec {
  const [word = "", ...numbers] = prior.split(":");
  const [dim, second] = numbers.map(Number);
  if (
    !Object.hasOwn(kinds, word) ||
    numbers.length > 2 ||
    (dim !== undefined && !(Number.isSafeInteger(dim) && dim >= 1)) ||
    (second !== undefined && !(second > 0 && Number.isFinite(second)))
  )
    throw args.wrong(
      "latent",
      "normal, truncated, uniform, table:FILE or mapped, with numbers as the help says",
      text,
    );
  const kind = kinds[word as keyof typeof kinds];
  const size = dim === undefined ? {} : { dim };
  if (second === undefined) return { kind, ...size };
  if (kind === "uniform") return { kind, ...size, low: -second, high: second };
  return { kind, ...size, ...(kind === "normal" ? { std: second } : { bound: second }) };
}
