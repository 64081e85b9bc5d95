/** Families of kinds: each kind goes from a configuration through the library and a file, and comes back as it was. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkFile } from "../../lib/options/check.js";
import { either } from "../../lib/options/describe.js";
import { energy, latent, loadModel, stage, type Energy, type Latent } from "../../lib/index.js";
import {
  checkDescription,
  describeLatent,
  latentTables,
  restoreLatent,
  type LatentDescription,
} from "../../lib/latent/description.js";
import { latents } from "../../lib/latent/kinds/index.js";
import type { StoredMapped } from "../../lib/latent/kinds/mapped.js";
import type { StoredTable } from "../../lib/latent/kinds/table.js";
import { checkLatent, latentFromSpec, type LatentSpec } from "../../lib/latent/latent.js";
import { energies } from "../../lib/objective/energies/index.js";
import {
  checkEnergy,
  describeEnergy,
  energyFrom,
  energyFromSpec,
  energyInFile,
  type EnergyDescription,
  type EnergySpec,
} from "../../lib/objective/energy.js";
import { stages } from "../../lib/objective/stages/index.js";
import {
  checkDescriptions,
  checkStages,
  describeStages,
  stageInFile,
  stagesFromSpecs,
  withModels,
} from "../../lib/objective/stages.js";
import { packageRoot } from "../../lib/native/binding.js";
import { mappingModel } from "../support/latents.js";
import { rejects, withFolder } from "../support/tiny.js";

const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const noFile = { metadata: new Map<string, string>() };

describe("kinds of latents", () => {
  const cases: [string, object, (made: Latent) => void][] = [
    ["normal", { std: 2 }, (made) => assert.deepEqual(made, latent.normal(2, { std: 2 }))],
    ["truncatedNormal", { dim: 4 }, (made) => assert.deepEqual(made, latent.truncatedNormal(4, 2))],
    ["uniform", { low: 0 }, (made) => assert.deepEqual(made, latent.uniform(2, 0, 1))],
    ["mapped", { base: { kind: "uniform" } }, (made) => assert.equal((made as { base: Latent }).base.dim, 2)],
    [
      "product",
      { groups: { z: { kind: "normal" }, y: { kind: "uniform", dim: 3 } } },
      (made) => assert.deepEqual(made, latent.product({ z: latent.normal(2), y: latent.uniform(3) })),
    ],
    [
      "hierarchical",
      { sizes: { z: 2 }, temperature: 0.5 },
      (made) => assert.deepEqual(made, latent.hierarchical({ z: 2 }, { temperature: 0.5 })),
    ],
    ["label", { classes: 7 }, (made) => assert.deepEqual(made, latent.label(7))],
  ];

  it("go through configuration, library and file", async () => {
    using mapping = await loadModel(mappingModel());
    const around = { size: 2, mapping, of: () => around };
    for (const [kind, options, same] of cases) {
      const spec = checkFile(either(...latents.inFile), json({ kind, ...options })) as LatentSpec;
      const made = await latentFromSpec(spec, around);
      same(made);
      const stored = checkDescription(json(await describeLatent(made)));
      const needed = kind === "mapped" ? mapping : undefined;
      const file = { ...noFile, tensors: new Map(Object.entries(latentTables(made))) };
      const back = await restoreLatent(stored, file as never, needed, "t.safetensors");
      assert.deepEqual(checkLatent("latent", back), made, kind);
    }
    const tested = new Set(cases.map(([kind]) => kind));
    assert.deepEqual(
      latents.all().flatMap(({ kind }) => (tested.has(kind) ? [] : kind)),
      ["table"], // its numbers are in files: see latents.test.ts
    );
  });

  it("are named where one is not known", () => {
    const known = /normal.*truncatedNormal.*uniform/;
    assert.throws(() => checkLatent("latent", { kind: "cauchy", dim: 2 }), known);
    assert.throws(() => latent.product({ z: { kind: "cauchy" } as never }), known);
    assert.throws(() => checkFile(either(...latents.inFile), { kind: "cauchy" }, undefined, "latent"), known);
    assert.throws(() => checkDescription({ kind: "cauchy" } as never as LatentDescription), known);
  });

  it("are stored without networks and tables, which their hashes stand for", async () => {
    using mapping = await loadModel(mappingModel());
    const base = latent.uniform(2);
    const mapped: StoredMapped = {
      kind: "mapped",
      dim: 2,
      base,
      mapping: { name: mapping.name, sha256: await mapping.fingerprint() },
    };
    assert.deepEqual(await describeLatent(latent.mapped(mapping, base, { dim: 2 })), mapped);
    const stored = async (first: number): Promise<StoredTable> =>
      (await describeLatent(
        latent.table({ data: Float32Array.of(first, 2, 3, 4, 5, 6), shape: [3, 2] }),
      )) as StoredTable;
    const { sha256, ...sizes } = await stored(1);
    assert.deepEqual(sizes, { kind: "table", dim: 2, rows: 3 });
    assert.equal((await stored(1)).sha256, sha256);
    assert.notEqual((await stored(0)).sha256, sha256);
  });

  it("are the functions that callers have", () =>
    assert.deepEqual(Object.keys(latent).sort(), latents.names().sort()));
});

describe("kinds of energies", () => {
  it("go through configuration, library and file", async () => {
    const specs: EnergySpec[] = energies
      .all()
      .filter(({ restore }) => restore)
      .map(({ kind }) => ({ kind }) as EnergySpec);
    const terms = [
      { energy: { kind: "cosine" as const } },
      { energy: { kind: "prior" as const }, weight: 0.5 },
    ];
    for (const spec of [...specs, { kind: "sum" as const, terms }]) {
      const made = await energyFromSpec(checkFile(energyInFile, json(spec)));
      assert.equal(made.kind, spec.kind);
      assert.deepEqual(checkEnergy("energy", made), made);
      assert.deepEqual(energyFrom(json(describeEnergy(made))), made);
    }
  });

  it("are named where one is not known", () => {
    const known = /cosine.*crossEntropy.*prior.*squaredError.*sum/;
    assert.throws(() => checkEnergy("energy", { kind: "huber" }), known);
    assert.throws(() => energy.sum({ kind: "huber" } as never as Energy), known);
    assert.throws(() => checkFile(energyInFile, { kind: "huber" }, undefined, "energy"), known);
    assert.throws(() => energyFrom({ kind: "huber" } as never as EnergyDescription), /cosine.*crossEntropy/);
  });
});

describe("kinds of stages", () => {
  it("go through configuration and library", async () => {
    const needed: Record<string, object> = {
      resize: { height: 2, width: 3 },
      normalize: { mean: 0.5, std: [1, 2, 3] },
      affine: { scale: 2 },
      channels: { order: [2, 1, 0] },
      crop: { height: 2, width: 3 },
      pad: { left: 1 },
      reshape: { shape: [3, -1] },
      transpose: { order: [1, 0] },
    };
    for (const { kind, model } of stages.all()) {
      if (model) continue; // below
      const spec = checkFile(stageInFile, json({ kind, ...needed[kind] }));
      const [made] = await stagesFromSpecs([spec]);
      assert.deepEqual(checkStages("preprocess", json([made])), [made], kind);
      assert.deepEqual(withModels(checkDescriptions("preprocess", json(describeStages([made!]))), []), [
        made,
      ]);
    }
  });

  it("that are models go through configuration and library, and files know them by their hash", () =>
    withFolder(async (folder) => {
      const path = join(folder, "own.onnx");
      writeFileSync(path, "not looked into here");
      const spec = checkFile(stageInFile, { kind: "onnx", model: "own.onnx" }, (file) => join(folder, file));
      const [made] = await stagesFromSpecs([spec]);
      assert.deepEqual(made, stage.fromOnnx(readFileSync(path)));
      const stored = checkDescriptions("preprocess", json(describeStages([made!, stage.clamp()])));
      assert.deepEqual(Object.keys(stored[0]!).sort(), ["kind", "sha256"]);
      assert.equal(withModels(stored, []), null);
      assert.equal(withModels(stored, [stage.fromOnnx(Uint8Array.of(1))]), null);
      assert.deepEqual(withModels(stored, [made!]), [made, stage.clamp()]);
      assert.throws(() => checkStages("preprocess", stored), /stage made by stage.fromOnnx/);
      await rejects(
        stagesFromSpecs([{ kind: "onnx", model: join(folder, "none.onnx") }]),
        "ERR_IO",
        /none.onnx: cannot be read/,
      );
    }));

  it("are named where one is not known", () => {
    const known =
      /affine.*channels.*clamp.*clip.*crop.*(?:fromOnnx|onnx).*grayscale.*normalize.*pad.*reshape.*resize.*transpose/;
    assert.throws(() => checkStages("preprocess", [{ kind: "blur" }]), known);
    assert.throws(() => checkFile(stageInFile, { kind: "blur" }, undefined, "preprocess[0]"), known);
    assert.deepEqual(Object.keys(stage).sort(), [...stages.names(), "scale"].sort());
  });
});

describe("files of kinds", () => {
  /** Folders, and their files that hold no kind; lists among them. */
  const folders: Readonly<Record<string, { lists: string[]; others: string[] }>> = {
    "sampling/samplers": { lists: ["index"], others: ["common"] },
    "latent/kinds": {
      lists: ["list", "factorised-list", "group-list"],
      others: ["index", "kind", "factorised", "groups"],
    },
    "objective/energies": { lists: ["list", "all"], others: ["index", "kind"] },
    "objective/stages": { lists: ["list", "all"], others: ["index", "kind"] },
  };

  for (const [folder, { lists, others }] of Object.entries(folders))
    it(`stand in a list of lib/${folder}`, () => {
      const path = join(packageRoot, "lib", folder);
      const listed = lists.map((name) => readFileSync(join(path, `${name}.ts`), "utf8")).join("");
      const files = readdirSync(path).map((file) => file.replace(/\.ts$/, ""));
      for (const name of [...lists, ...others]) assert.ok(files.includes(name), `${name}.ts is no more`);
      const kinds = files.filter((name) => ![...lists, ...others].includes(name));
      assert.ok(kinds.length >= 5);
      for (const name of kinds) {
        // One line: what two lists have would be there twice.
        const lines = listed.split("\n").filter((line) => line.includes(` from "./${name}.js"`));
        assert.equal(lines.length, 1, `${name}.ts stands in ${lines.length} lines of ${lists.join(", ")}`);
      }
    });
});
