/** The group of a latent.product() that the translator's auxiliary head gives; its mixture covers the other groups. */
import { ArgumentError, invalid } from "../base/errors.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import { groupClasses, latentGroups, type GroupLatent, type Latent } from "../latent/latent.js";
import type { NativePrior } from "../native/types/prior.js";

/** Which numbers of a latent are y. */
export interface AuxiliaryGroup {
  readonly name: string;
  readonly begin: number;
  readonly size: number;
}

/** @throws ArgumentError unless the option names one of several groups; null where nothing is named */
export function auxiliaryGroup(
  option: string,
  name: string | undefined,
  prior: Latent,
): AuxiliaryGroup | null {
  if (name === undefined) return null;
  const groups = latentGroups(prior);
  if (groups[0]?.name === null)
    throw new ArgumentError(
      `${option}: expected none, for the latent is no product of groups, got ${JSON.stringify(name)}; give it a ` +
        "latent.product(), or leave the option out",
    );
  const found = groups.find((group) => group.name === name);
  if (!found)
    throw new ArgumentError(
      `${option}: expected one of the latent's groups, ${groups.map((group) => group.name).join(", ")}, got ${JSON.stringify(name)}`,
    );
  if (groupClasses(found.latent) !== undefined)
    throw new ArgumentError(
      `${option}: expected a group of numbers, got ${JSON.stringify(name)}, which is a label: no number lies between two classes`,
    );
  if (groups.length === 1)
    throw new ArgumentError(
      `${option}: expected a latent of two groups or more, for the mixture covers the others, got only ${JSON.stringify(name)}`,
    );
  return { name, begin: found.begin, size: found.latent.dim };
}

/** @throws ArgumentError */
export function checkAuxiliaryName(option: string, value: unknown): string | undefined {
  if (value !== undefined && (typeof value !== "string" || value === ""))
    throw invalid(option, "the name of a group of the latent", value);
  return value as string | undefined;
}

/** The groups that the mixture covers. */
export function mixtureGroups(prior: Latent, group: AuxiliaryGroup | null): GroupLatent[] {
  return latentGroups(prior)
    .filter(({ name }) => group === null || name !== group.name)
    .map(({ latent }) => latent);
}

/** A row without y. */
export function withoutAuxiliary<T extends Float32Array | Float64Array>(
  row: T,
  group: AuxiliaryGroup | null,
): T {
  if (group === null) return row;
  return row.filter((_, j) => j < group.begin || j >= group.begin + group.size) as T;
}

/** The density of what the mixture covers. */
export function mixtureDensity(density: NativePrior, group: AuxiliaryGroup | null): NativePrior {
  if (group === null) return density;
  const { begin, size } = group;
  // A product of several groups always has elements.
  const elements = density.elements!.filter((_, i) => i < 4 * begin || i >= 4 * (begin + size));
  return { kind: "elements", dim: density.dim - size, elements };
}

/**
 * Latents [n, d], which nobody outside has, as z [n, d − size] and y [n, size]; y is null, and z the same array, without a
 * group.
 */
export async function splitLatents(
  latents: Float32Array,
  d: number,
  group: AuxiliaryGroup | null,
  signal?: AbortSignal,
): Promise<{ z: Float32Array; y: Float32Array | null }> {
  if (group === null) return { z: latents, y: null };
  const { begin, size } = group;
  const { part, rest } = await runJob("training", signal, () =>
    native().splitColumns({ owned: latents }, latents.length / d, d, begin, size),
  );
  return { z: rest, y: part };
}
