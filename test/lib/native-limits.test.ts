/**
 * The library checks what callers say, and native code checks it again: both have the same limits and defaults. What the
 * addon says of its fields is compared with the options' own descriptions, field by field.
 */
import assert from "node:assert/strict";
import { latents } from "../../lib/latent/kinds/index.js";
import { native } from "../../lib/native/binding.js";
import type { NativeConfigField } from "../../lib/native/types/config.js";
import { energies } from "../../lib/objective/energies/index.js";
import { isDerived, resolved, type Limits, type Option, type Shape } from "../../lib/options/describe.js";
import type { SamplerDefinition } from "../../lib/sampling/definition.js";
import { groupUpdate } from "../../lib/sampling/samplers/langevin.js";
import { samplers } from "../../lib/sampling/samplers/index.js";
import { trainOptions } from "../../lib/training/options.js";
import { noiseInFile } from "../../lib/translator/noise.js";
import { trainerOptions } from "../../lib/translator/trainer.js";
import { translatorOptions } from "../../lib/translator/translator.js";

type Struct = NativeConfigField["struct"];

/** Options that feed a struct, by where they are. */
interface Source {
  readonly of: string;
  readonly structs: readonly Struct[];
  readonly options: Readonly<Record<string, Option>>;
}

const kindsOfNoise = (noiseInFile.form as { of: readonly Shape[] }).of.map(propertiesOf);
const definitions = Object.values(samplers as Readonly<Record<string, SamplerDefinition>>);

const sources: readonly Source[] = [
  { of: "new Translator()", structs: ["translator"], options: translatorOptions.form.properties },
  { of: "new Trainer()", structs: ["trainer"], options: trainerOptions.form.properties },
  { of: "train()", structs: ["trainer"], options: trainOptions.form.properties },
  ...kindsOfNoise.map((noise) => ({
    of: `conditionNoise ${(noise["kind"]!.shape.form as { value: string }).value}`,
    structs: ["trainer" as const],
    options: { noiseScale: noise["scale"]! },
  })),
  ...definitions.map(({ kind, options }) => ({
    of: `sampler.${kind}()`,
    // A sampler without groups is one group.
    structs: ["sampler" as const, "updateGroup" as const],
    options: options.form.properties,
  })),
  { of: "groups", structs: ["updateGroup"], options: groupUpdate.form.properties },
  ...energies
    .all()
    .filter(({ kind }) => kind === "prior")
    .map(({ options }) => ({
      of: "energy.prior()",
      structs: ["sampler" as const],
      options: { priorWeight: options.form.properties["weight"]! },
    })),
  ...latents
    .all()
    .filter(({ kind }) => choices("prior", "kind").includes(kind))
    .map(({ kind, options }) => ({
      of: `latent.${kind}()`,
      structs: ["prior" as const],
      options: options.form.properties,
    })),
];

/** Options that native code knows by another name. */
const renamed: Readonly<Record<string, string>> = {
  "trainer.batch": "batchSize",
  "translator.componentStds": "stds",
};

/** Values that native code has in other words. */
const inOtherWords: Readonly<Record<string, ReadonlyMap<unknown, unknown>>> = {
  "translator.componentStds": new Map([
    ["shared", false],
    ["component", true],
  ]),
  // A mean squared error is the latent's loss of a deterministic translator.
  "trainer.loss": new Map([
    ["nll", "latent"],
    ["mse", "latent"],
    ["cosine", "relaxed"],
  ]),
  "sampler.adapt": new Map<unknown, unknown>([
    [true, "chain"],
    [false, "none"],
  ]),
};

const together =
  "the groups of a product stand in one prior of native code, with more numbers than one group has";
const always = "a latent tells native code all of its numbers";

/** Limits and defaults that differ, and why. */
const deliberate: Readonly<Record<string, string>> = {
  "train() alpha minimum": "with the weight 0 nothing but an auxiliary head would be trained",
  "train() alpha exclusiveMinimum": "likewise",
  "conditionNoise adaptive noiseScale default":
    "noise with a scale tells it, and native code has no noise by default",
  "conditionNoise covariance noiseScale default": "Σ is multiplied by its square before native code has it",
  "latent.normal() dim maximum": together,
  "latent.truncatedNormal() dim maximum": together,
  "latent.uniform() dim maximum": together,
  "latent.truncatedNormal() bound default": always,
  "latent.uniform() low default": always,
  "latent.uniform() high default": always,
};

/** Fields that no option feeds by itself, and what does. */
const unfed: Readonly<Record<string, string>> = {
  "trainer.auxiliaryBegin": "where the auxiliary group lies in the latent",
  "trainer.noise": "by the kind of the condition noise",
  "sampler.kernel": "by the sampler",
  "updateGroup.size": "how many numbers the group has",
  "prior.kind": "by the latent",
};

function propertiesOf(shape: Shape): Readonly<Record<string, Option>> {
  const { form } = resolved(shape);
  assert.ok(form.is === "object");
  return form.properties;
}

function choices(struct: Struct, name: string): readonly string[] {
  return (
    native()
      .configFields()
      .find((field) => field.struct === struct && field.name === name)?.choices ?? []
  );
}

/** The shapes that a value may have. */
function parts(shape: Shape): Shape[] {
  const one = resolved(shape);
  return one.form.is === "either" ? one.form.of.flatMap(parts) : [one];
}

function limitsOf(shape: Shape): (Limits & { readonly whole: boolean }) | undefined {
  return parts(shape)
    .map(({ form }) => form)
    .find((form) => form.is === "number");
}

/** What the option says of the field, in the field's words; undefined of what it does not say. */
function said(
  field: NativeConfigField,
  option: Option,
  siblings: Source["options"],
): Partial<NativeConfigField> {
  const key = `${field.struct}.${field.name}`;
  const words = (value: unknown): unknown => inOtherWords[key]?.get(value) ?? value;
  const limits = limitsOf(option.shape);
  const { default: given } = option;
  const value = words(isDerived(given) ? given.from(defaults(siblings) as never) : given);
  const automatic = value === "auto";
  return {
    ...(limits
      ? {
          type: limits.whole ? ("integer" as const) : ("number" as const),
          minimum: limits.min,
          exclusiveMinimum: limits.above,
          maximum: limits.max,
          exclusiveMaximum: limits.below,
        }
      : {}),
    ...(automatic ? { automatic: field.automatic } : {}),
    // What must be told has no default there.
    ...(value === undefined || field.required ? {} : { default: automatic ? field.automatic : value }),
  } as Partial<NativeConfigField>;
}

/** Those that depend on no others. */
function defaults(options: Source["options"]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).flatMap(([name, option]) =>
      option.default === undefined || isDerived(option.default) ? [] : [[name, option.default]],
    ),
  );
}

describe("limits and defaults of native configurations", () => {
  const fields = native().configFields();
  const keyOf = ({ struct, name }: NativeConfigField): string => `${struct}.${name}`;
  /** Where a field comes from. */
  const fed = (field: NativeConfigField) =>
    sources.flatMap(({ of, structs, options }) => {
      const name = renamed[keyOf(field)] ?? field.name;
      const option = structs.includes(field.struct) ? options[name] : undefined;
      return option ? [{ place: `${of} ${name}`, option, options }] : [];
    });

  it("are those of the options that feed them", () => {
    const differences = new Map<string, string>();
    let compared = 0;
    // Seeds are any 64 bits there, and what a double holds exactly here.
    for (const field of fields.filter(({ type }) => type !== "seed"))
      for (const { place, option, options } of fed(field)) {
        for (const [what, value] of Object.entries(said(field, option, options))) {
          compared++;
          const own = field[what as keyof NativeConfigField];
          if (value === own) continue;
          differences.set(`${place} ${what}`, `${String(value)}, ${keyOf(field)} ${String(own)}`);
        }
      }
    assert.ok(compared > 200, `only ${compared} were compared`);
    const undeclared = [...differences].filter(([place]) => !Object.hasOwn(deliberate, place));
    assert.deepEqual(Object.fromEntries(undeclared), {});
    for (const place of Object.keys(deliberate))
      assert.ok(differences.has(place), `${place}: no difference any more`);
  });

  it("are fed by options, each field by one at least, or else by what is named here", () => {
    const without = fields.filter((field) => field.type !== "seed" && fed(field).length === 0);
    assert.deepEqual(without.map(keyOf).sort(), Object.keys(unfed).sort());
  });

  it("have the choices that options have", () => {
    const starts = definitions.flatMap(({ start, options }) =>
      typeof start === "string"
        ? [start]
        : parts(options.form.properties["start"]!.shape).flatMap(({ form }) =>
            form.is === "words" ? form.words : [],
          ),
    );
    const same = (struct: Struct, name: string, expected: readonly string[]): void =>
      assert.deepEqual([...choices(struct, name)].sort(), [...new Set(expected)].sort(), name);
    same("sampler", "start", starts);
    same("sampler", "kernel", ["none", ...definitions.map(({ kernel }) => kernel)]);
    same("sampler", "adapt", ["chain", "none", "pilot"]);
    same("updateGroup", "rule", [
      ...parts(groupUpdate.form.properties.rule.shape).flatMap(({ form }) =>
        form.is === "words" ? form.words : [],
      ),
      "kept", // of labels, which no caller moves
    ]);
    same("trainer", "noise", [
      "none",
      ...kindsOfNoise.map((noise) => (noise["kind"]!.shape.form as { value: string }).value),
    ]);
  });
});
