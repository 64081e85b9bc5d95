/** Configurations as native code describes them: what the description says is what is read and checked. */
import assert from "node:assert/strict";
import { native } from "../../lib/native/binding.js";
import type { NativeConfigField } from "../../lib/native/types/config.js";
import type { NativeObjective } from "../../lib/native/types/pipeline.js";
import { gaussian } from "../support/objectives.js";

type Config = Record<string, unknown>;

describe("the fields of native configurations", () => {
  const fields = native().configFields();
  let objective: NativeObjective;
  before(async () => {
    objective = await gaussian(Float32Array.of(1, 1, 1));
  });
  after(() => objective.dispose());

  const rows = (n: number, size: number) => new Float32Array(n * size).fill(0.5);
  const prior = { kind: "normal", dim: 3 };
  const sampler = { start: "prior", kernel: "langevin", steps: 1, seed: 0n };
  const sample = (config: Config) => {
    const request = { objective, translator: null, prior, conditionCount: 1, count: 1, conditions: rows(1, 3) };
    return native().sample({ ...request, streams: new Uint32Array(1), config } as never).promise;
  };

  /** A configuration that works, and what reads it. */
  const users: Record<NativeConfigField["struct"], { config: Config; use: (config: Config) => unknown }> = {
    translator: {
      config: { condition: 2, hidden: 4, latent: 3, components: 1 },
      use: (config) => native().createTranslator(config as never, 1n),
    },
    trainer: {
      config: { epochs: 1, batch: 2, seed: 1n },
      use: (config) => {
        const translator = native().createTranslator({ condition: 2, hidden: 4, latent: 3, components: 1 }, 1n);
        return native().createTrainer(translator, config as never, rows(2, 3), rows(2, 2), null, 2);
      },
    },
    sampler: { config: sampler, use: sample },
    updateGroup: { config: { size: 3, rule: "sgld" }, use: (group) => sample({ ...sampler, groups: [group] }) },
    prior: {
      config: { kind: "truncatedNormal", dim: 3, std: 1, bound: 2 },
      use: (config) => native().drawPrior(config as never, 1n, 0, 0, 1).promise,
    },
  };
  const attempt = async ({ struct }: NativeConfigField, change: Config) =>
    await users[struct].use({ ...users[struct].config, ...change });
  const refused = async (field: NativeConfigField, value: unknown) =>
    await assert.rejects(
      async () => await attempt(field, { [field.name]: value }),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, "ERR_INVALID_ARGUMENT", `${field.struct}.${field.name}: ${error.message}`);
        assert.match(error.message, /expected/, `${field.struct}.${field.name}`);
        return true;
      },
      `${field.struct}.${field.name} takes ${String(value)}`,
    );

  it("are those of five structs, each named once", () => {
    assert.deepEqual([...new Set(fields.map((field) => field.struct))].sort(), Object.keys(users).sort());
    const names = fields.map((field) => `${field.struct}.${field.name}`);
    assert.deepEqual(names, [...new Set(names)]);
    assert.ok(fields.length >= 45);
  });

  it("have defaults and limits as in the official settings", () => {
    const of = (struct: string, name: string) => fields.find((f) => f.struct === struct && f.name === name);
    assert.equal(of("trainer", "learningRate")?.default, 1e-3);
    assert.equal(of("trainer", "learningRate")?.exclusiveMinimum, 0);
    assert.equal(of("sampler", "targetAccept")?.default, 0.57);
    assert.deepEqual([of("sampler", "priorFraction")?.minimum, of("sampler", "priorFraction")?.maximum], [0, 1]);
    assert.equal(of("sampler", "stepSize")?.automatic, of("sampler", "stepSize")?.default);
    assert.equal(of("updateGroup", "momentum")?.default, 0.99);
    assert.equal(of("trainer", "seed")?.default, undefined);
  });

  it("are taken with their defaults spelled out", async () => {
    for (const field of fields)
      if (field.default !== undefined && !(field.struct === "prior" || field.name === "adapt"))
        await attempt(field, { [field.name]: field.default });
  });

  it("are refused beyond their limits, wrongly typed, not a number or unknown as a choice", async () => {
    for (const field of fields) {
      const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = field;
      const step = field.type === "integer" ? 1 : 0.5;
      if (minimum !== undefined) await refused(field, minimum - step);
      if (exclusiveMinimum !== undefined) await refused(field, exclusiveMinimum);
      if (maximum !== undefined) await refused(field, maximum + step);
      if (exclusiveMaximum !== undefined) await refused(field, exclusiveMaximum);
      await refused(field, Symbol("no value"));
      await refused(field, "no such value");
      if (field.type === "number" || field.type === "integer") await refused(field, NaN);
      if (field.type === "integer") await refused(field, 1.5);
      if (field.type === "seed") await refused(field, 1);
    }
  });

  it("are needed where they say so, and else left out", async () => {
    for (const field of fields)
      if (field.required) await refused(field, undefined);
      else if (field.struct !== "prior") await attempt(field, { [field.name]: undefined });
  });
});
