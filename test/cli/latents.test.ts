import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSafetensors } from "../../lib/base/safetensors.js";
import { flatEncoder, layered, mappingModel, twoInputs } from "../support/latents.js";
import { tr0n } from "../support/cli.js";

describe("command line, latents", () => {
  let folder: string;
  const path = (name: string): string => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tr0n-latents-"));
    await writeFile(path("g.onnx"), twoInputs());
    await writeFile(path("layers.onnx"), layered());
    await writeFile(path("f.onnx"), flatEncoder());
    await writeFile(path("m.onnx"), mappingModel());
    const table = { data: Float32Array.of(1, 0, 0, 0, 1, 0), shape: [2, 3] };
    await writeFile(path("table.safetensors"), encodeSafetensors(new Map([["y", table]])));
    await writeFile(path("table.json"), "[[1, 0, 0], [0, 1, 0]]");
    await writeFile(path("c.json"), "[0.5, -1, 0.75]");
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const models = (generator: string): string[] => [
    "--generator",
    path(generator),
    "--encoder",
    path("f.onnx"),
  ];
  const train = (generator: string, ...rest: string[]): string[] => [
    "train",
    ...models(generator),
    ...[
      "-n",
      "300",
      "--epochs",
      "1",
      "--seed",
      "1",
      "--energy",
      "squared-error",
      "-o",
      path("t.safetensors"),
    ],
    ...rest,
  ];
  const sample = (generator: string, ...rest: string[]): string[] => [
    "sample",
    ...models(generator),
    ...[
      "--translator",
      path("t.safetensors"),
      "--embedding",
      path("c.json"),
      "-o",
      path("s.png"),
      "-n",
      "4",
      "--json",
    ],
    ...rest,
  ];
  const done = async (args: string[]): Promise<Record<string, unknown>> => {
    const { code, error, json } = await tr0n(args.includes("--json") ? args : [...args, "--json"]);
    assert.equal(code, 0, error);
    return json();
  };

  it("trains and samples a product of a normal and a table, from either kind of file", async () => {
    for (const file of ["table.safetensors", "table.json"]) {
      await done(train("g.onnx", "--latent", `z=normal:2:0.5,y=table:${path(file)}`));
      const { latents } = await done(
        sample("g.onnx", "--sampler", "direct", "--start", "prior", "--latents", path("z.safetensors")),
      );
      assert.equal(latents, path("z.safetensors"));
      const bytes = await readFile(path("z.safetensors"));
      const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()) as {
        latents: { shape: number[] };
      };
      assert.deepEqual(header.latents.shape, [4, 5]);
    }
    const report = await done(sample("g.onnx", "--rounds", "2", "--adapt", "pilot", "--steps", "3"));
    // A pilot run of 4 chains with 50 steps, then two rounds of 3 steps for 4 chains.
    assert.equal((report["evaluations"] as { gradients: number }).gradients, 4 * 51 + 2 * 4 * 4);
  });

  it("regresses a group, named on the line or in a configuration file", async () => {
    const prior = ["--latent", `z=truncated:2:2,y=table:${path("table.json")}`];
    const report = await done(train("g.onnx", ...prior, "--auxiliary", "y", "--preset", "official"));
    assert.equal(typeof report["heldOutAuxiliary"], "number");
    const inspected = await done(["translator", path("t.safetensors"), "--json"]);
    assert.deepEqual([inspected["latent"], inspected["auxiliary"], inspected["bound"]], [2, 3, 2]);
    for (const name of ["resample", "hybrid", "direct"]) await done(sample("g.onnx", "--sampler", name));
    const { out } = await tr0n(train("g.onnx", ...prior, "--auxiliary", "y"));
    assert.match(out, /mean squared error of the auxiliary group: [0-9.e-]+/);

    const group = { kind: "table", file: "table.json" };
    const run = {
      generator: "g.onnx",
      encoder: "f.onnx",
      latent: { kind: "product", groups: { z: { kind: "normal" }, y: group } },
      energy: { kind: "squaredError" },
      translator: { auxiliary: "y" },
      train: { pairs: 300, epochs: 1 },
      outputs: { translator: "t.safetensors" },
      seed: 1,
    };
    const config = async (translator: object): Promise<string[]> => {
      await writeFile(path("run.json"), JSON.stringify({ ...run, translator }));
      return ["train", "--config", path("run.json")];
    };
    const fromFile = await done(await config({ auxiliary: "y" }));
    assert.equal(typeof fromFile["heldOutAuxiliary"], "number");
    const overridden = await done([...(await config({ auxiliary: "z" })), "--auxiliary", "y"]);
    assert.equal(overridden["heldOutAuxiliary"], fromFile["heldOutAuxiliary"]);
    const wrong = await tr0n(await config({ auxiliary: "x" }));
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.error, /translator\.auxiliary: expected one of the latent's groups, z, y, got "x"/);
    const number = await tr0n(await config({ auxiliary: 1 }));
    assert.match(number.error, /translator\.auxiliary: expected the name of a group of the latent, got 1/);
  });

  it("trains and samples in the space of a mapping network", async () => {
    await done(train("layers.onnx", "--latent", "mapped:uniform", "--mapping", path("m.onnx")));
    await done(sample("layers.onnx", "--mapping", path("m.onnx")));
    const { code, error } = await tr0n(sample("layers.onnx"));
    assert.equal(code, 1);
    assert.match(error, /mapping network m\.onnx|models\.mapping/);
  });

  it("refuses priors that it does not know, in words", async () => {
    for (const [rest, expected] of [
      [["--latent", "gamma"], /--latent: expected label, mapped, normal, table, truncated or uniform/],
      [["--latent", "z=normal,normal"], /NAME=PRIOR/],
      [["--latent", "normal:0"], /--latent/],
      [["--latent", "normal:2:-1"], /--latent/],
      [["--latent", "mapped"], /--mapping FILE/],
      [["--latent", "z=normal,y=normal", "--mapping", path("m.onnx")], /--latent mapped/],
    ] as const) {
      const { code, error } = await tr0n(train("g.onnx", ...rest));
      assert.equal(code, 2, error);
      assert.match(error, expected);
    }
  });
});
