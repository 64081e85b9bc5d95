/** `--latent`: the prior over a generator's inputs. */
import { reason } from "../atomic-write.js";
import { FileError } from "../errors.js";
import { latent, type GroupLatent, type Latent, type SimpleLatent } from "../latent.js";
import type { Model } from "../model.js";
import { readWholeFile } from "../read-file.js";
import { decodeSafetensors } from "../safetensors.js";
import type { Tensor } from "../tensor.js";
import type { Arguments } from "./arguments.js";
import { readEmbedding } from "./files.js";

/** A prior as it was written, for an input of so many numbers. */
type Make = (dim: number, mapping: Model | undefined) => Promise<GroupLatent>;

/**
 * Reads `--latent`, `--latent-dim` and `--latent-bound`; models and tables are looked at by what it returns.
 *
 * @throws UsageError
 */
export function readLatent(
  args: Arguments,
): (generator: Model, mapping: Model | undefined) => Promise<Latent | undefined> {
  const parts = args.list("latent");
  const wantedDim = args.integer("latent-dim", 1, 2 ** 24);
  const bound = args.number("latent-bound", { above: 0 });
  const makers = parts?.map((part): [string | null, Make] => {
    const [, name, text] = /^(?:([^=:]+)=)?(.*)$/.exec(part)!;
    return [name ?? null, readPrior(args, text!, bound)];
  });
  const named = makers?.filter(([name]) => name !== null) ?? [];
  if (makers && makers.length > 1 && named.length < makers.length)
    throw args.wrong("latent", "one prior, or NAME=PRIOR for every input of the generator", parts!.join());
  if (wantedDim !== undefined && named.length > 0)
    throw args.wrong("latent-dim", "none with NAME=PRIOR, which takes NAME=KIND:DIM", wantedDim);
  if (bound !== undefined && !parts?.some((part) => /^([^=:]+=)?(truncated|uniform)\b/.test(part)))
    throw args.wrong("latent-bound", "--latent truncated or uniform with it", bound);
  const unused = makers && !parts!.some((part) => /\bmapped\b/.test(part));
  return async (generator, mapping) => {
    if (mapping && (!makers || unused))
      throw args.wrong("mapping", "--latent mapped with it", args.text("mapping"));
    const size = (name: string | null): number => {
      const inputs = generator.inputs.filter((input) => name === null || input.name === name);
      return (inputs[0]?.shape.slice(1) ?? []).reduce<number>((product, dim) => product * (dim ?? 1), 1);
    };
    if (named.length === 0) {
      if (!makers && wantedDim === undefined) return undefined;
      const make = makers?.[0]?.[1] ?? readPrior(args, "normal", undefined);
      return make(wantedDim ?? size(null), mapping);
    }
    const groups: Record<string, GroupLatent> = {};
    for (const [name, make] of named) groups[name!] = await make(size(name), mapping);
    return latent.product(groups);
  };
}

/** One prior: kind[:number[:number]], table:FILE or mapped[:base]. */
function readPrior(args: Arguments, text: string, bound: number | undefined): Make {
  const wrong = (): Error =>
    args.wrong(
      "latent",
      "normal, truncated, uniform, table:FILE or mapped, with numbers as the help says",
      text,
    );
  const [kind, ...rest] = text.split(":");
  if (kind === "table") {
    const path = rest.join(":");
    if (path === "") throw wrong();
    return async () => latent.table(await readTable(path));
  }
  if (kind === "mapped") {
    const base = readSimple(rest.length > 0 ? rest.join(":") : "normal", bound, wrong);
    return async (_, mapping) => {
      if (!mapping) throw args.wrong("latent", "--mapping FILE with mapped", text);
      const row = mapping.inputs[0]?.shape.slice(1) ?? [];
      return latent.mapped(mapping, base(row.reduce<number>((product, dim) => product * (dim ?? 1), 1)));
    };
  }
  const simple = readSimple(text, bound, wrong);
  return async (dim) => simple(dim);
}

function readSimple(
  text: string,
  bound: number | undefined,
  wrong: () => Error,
): (dim: number) => SimpleLatent {
  const [kind, ...numbers] = text.split(":");
  const [dim, second] = numbers.map(Number);
  if (
    numbers.length > 2 ||
    (dim !== undefined && !(Number.isSafeInteger(dim) && dim >= 1)) ||
    (second !== undefined && !(second > 0 && Number.isFinite(second)))
  )
    throw wrong();
  switch (kind) {
    case "normal":
      return (size) => latent.normal(dim ?? size, second === undefined ? {} : { std: second });
    case "truncated":
      return (size) => latent.truncatedNormal(dim ?? size, second ?? bound ?? 2);
    case "uniform": {
      const half = second ?? bound ?? 1;
      return (size) => latent.uniform(dim ?? size, -half, half);
    }
    default:
      throw wrong();
  }
}

/** A matrix: the only tensor of a .safetensors file, or JSON. @throws FileError */
async function readTable(path: string): Promise<Tensor> {
  if (!path.endsWith(".safetensors")) return readEmbedding(path);
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const file = decodeSafetensors(bytes, path);
  const [name, ...others] = file.tensors.keys();
  if (name === undefined || others.length > 0)
    throw new FileError("ERR_FILE_INVALID", `${path}: expected one tensor, got ${file.tensors.size}`);
  return file.tensors.get(name)!;
}
