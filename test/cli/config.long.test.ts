/** The configuration file: its schema, how it is checked, and runs that it drives. */
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildCondition, buildNoise } from "../../lib/config/build.js";
import { loadConfig, parseConfig } from "../../lib/config/config.js";
import { configSchema } from "../../lib/config/document.js";
import { ArgumentError } from "../../lib/base/errors.js";
import type { JsonSchema } from "../../lib/options/json-schema.js";
import { readImage } from "../../lib/image/read.js";
import { decodeSafetensors } from "../../lib/base/safetensors.js";
import { sampler, type Sampler } from "../../lib/sampling/sampler.js";
import { checkStages } from "../../lib/objective/stages.js";
import { tr0n, workplace } from "../support/cli.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (name: string): Promise<string> => readFile(join(root, name), "utf8");
/** The examples of docs/configuration.md. */
const examples = async (): Promise<string[]> =>
  [...(await read("docs/configuration.md")).matchAll(/```json\n(.*?)```/gs)].map((match) => match[1]!);

/** Runs and expects success. */
async function done(args: string[]): Promise<Record<string, unknown>> {
  const { code, error, json } = await tr0n([...args, "--json"]);
  assert.equal(code, 0, error);
  return json();
}

const bad: [string, unknown, RegExp][] = [
  ["a list", [], /^expected an object, got an array/],
  ["an unknown section", { trian: {} }, /^unknown key "trian"; known are \$schema, generator/],
  [
    "an unknown key deep inside",
    { sample: { sampler: { kind: "mala", stepsize: 1 } } },
    /^sample\.sampler: unknown key "stepsize"; known are kind, steps/,
  ],
  [
    "an option of another sampler",
    { sample: { sampler: { kind: "mala", candidates: 4 } } },
    /^sample\.sampler: unknown key "candidates"/,
  ],
  [
    "an unknown kind",
    { sample: { sampler: { kind: "best" } } },
    /^sample\.sampler\.kind: expected one of "resample", .*got "best"/,
  ],
  [
    "no kind",
    { latent: { dim: 3 } },
    /^latent\.kind: expected one of "hierarchical", "label", "mapped", "normal", "product", "table"/,
  ],
  [
    "a text for a number",
    { train: { epochs: "6" } },
    /^train\.epochs: expected an integer ≥ 1 and ≤ 1048576, got "6"/,
  ],
  ["half an epoch", { train: { epochs: 1.5 } }, /^train\.epochs: .*got 1\.5/],
  [
    "a number out of range",
    { train: { learningRate: 0 } },
    /^train\.learningRate: expected a finite number > 0, got 0/,
  ],
  [
    "a number that is too large",
    { maxBatch: 5000 },
    /^maxBatch: expected an integer ≥ 1 and ≤ 4096, got 5000/,
  ],
  ["null", { train: null }, /^train: expected an object, got null/],
  ["a model without its file", { encoder: { output: "y" } }, /^encoder: expected the key "model"/],
  ["a number as a model", { encoder: 3 }, /^encoder: expected a path.* or an object with model, got 3/],
  ["an empty path", { encoder: "" }, /^encoder: expected a path: .*, got ""/],
  [
    "a number for a switch",
    { sample: { sampler: { kind: "mala", adapt: 1 } } },
    /adapt: expected true, false or "pilot", got 1/,
  ],
  ["a word of no choice", { precision: "half" }, /^precision: expected one of "fp32", "tf32", got "half"/],
  ["an unknown device", { device: "gpu" }, /^device: expected a device: "auto", .*got "gpu"/],
  [
    "a bad item",
    { preprocess: [{ kind: "clip" }, { kind: "resize" }] },
    /^preprocess\[1\]: expected the key "height"/,
  ],
  [
    "an empty list",
    { sample: { condition: { class: [] } } },
    /^sample\.condition\.class: expected at least 1 of them/,
  ],
  ["no condition", { sample: { condition: {} } }, /^sample\.condition: expected an object with class or/],
  [
    "two conditions",
    { sample: { condition: { class: 1, image: "x.png" } } },
    /^sample\.condition: expected an object with class or/,
  ],
  [
    "a weight that is no number",
    { sample: { condition: { all: [{ condition: { class: 1 }, weight: "much" }] } } },
    /^sample\.condition\.all\[0\]\.weight: expected a finite number, got "much"/,
  ],
  [
    "an unknown key in a part",
    { sample: { condition: { all: [{ text: "x" }, { txt: "y" }] } } },
    /^sample\.condition\.all\[1\]: expected an object with/,
  ],
  [
    "a bad shape",
    { generator: { model: "g", inputShapes: { z: [0, null] } } },
    /^generator\.inputShapes\.z\[0\]: /,
  ],
  [
    "numbers and lists of numbers mixed",
    { sample: { condition: { embedding: [1, [2]] } } },
    /^sample\.condition\.embedding\[1\]: expected a finite number, got an array/,
  ],
  ["an inherited name", { toString: 1 }, /^unknown key "toString"/],
];

const good: unknown[] = [
  {},
  {
    generator: "g.onnx",
    encoder: { model: "f.pt", format: "torchscript", inputShapes: { x: [null, 3, 4, 4] } },
  },
  { latent: { kind: "uniform", low: -2, high: 2 }, energy: { kind: "onnx", model: "e.onnx" } },
  {
    sample: {
      condition: {
        embedding: [
          [1, 2],
          [3, 4],
        ],
      },
    },
  },
  { sample: { condition: { embedding: "e.json" } } },
  {
    sample: {
      condition: { all: [{ all: [{ class: 1 }] }, { condition: { text: ["a", "b"] }, weight: -2 }] },
    },
  },
  { train: { pairs: "folder", initialLogStd: -2.5 }, translator: { conditionNoise: { kind: "adaptive" } } },
  {
    evaluate: {
      recipes: ["hybrid", { name: "x", sampler: { kind: "direct", start: "prior" } }],
      classes: [0],
    },
  },
  { preprocess: [{ kind: "normalize", mean: 0.5, std: [1, 2, 3] }, { kind: "grayscale" }], seed: 0 },
];

describe("the configuration file", () => {
  for (const [what, value, message] of bad)
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parseConfig(JSON.parse(JSON.stringify(value)), (path) => path),
        (error: Error) => {
          assert.ok(error instanceof ArgumentError, String(error));
          assert.match(error.message, message);
          return true;
        },
      );
    });

  it("is published as the schema that it is checked against, with which another validator agrees", async () => {
    const published = JSON.parse(await read("schema/tr0n.schema.json")) as object;
    assert.deepEqual(published, configSchema(), "run `npm run schema`");
    // eslint brings Ajv along.
    const fromEslint = createRequire(createRequire(import.meta.url).resolve("eslint/package.json"));
    const Ajv = fromEslint("ajv") as new () => { compile(schema: object): (value: unknown) => boolean };
    const valid = new Ajv().compile(published);
    for (const [what, value] of bad) assert.equal(valid(JSON.parse(JSON.stringify(value))), false, what);
    for (const value of [...good, ...(await examples()).map((text) => JSON.parse(text) as unknown)]) {
      assert.equal(valid(value), true, JSON.stringify(value));
      parseConfig(value, (path) => path);
    }
  });

  it("knows the options that the library has, no more and no fewer", () => {
    const kinds = (schema: JsonSchema): Record<string, string[]> =>
      Object.fromEntries(
        schema.anyOf!.map(({ properties }) => [
          String(properties!["kind"]!.const),
          Object.keys(properties!).filter((key) => key !== "kind"),
        ]),
      );
    const same = (a: string[], b: string[], what: string): void =>
      assert.deepEqual([...a].sort(), [...b].sort(), what);
    const samplers = kinds(configSchema().definitions["sampler"]!);
    same(Object.keys(samplers), Object.keys(sampler), "samplers");
    for (const [kind, options] of Object.entries(samplers)) {
      const made = (sampler[kind as Sampler["kind"]] as (o: object) => Sampler)(
        kind === "langevin" || kind === "hybrid" ? { bound: 1, groups: {} } : {},
      );
      same(options, Object.keys(made.options), kind);
    }
    for (const [kind, options] of Object.entries(kinds(configSchema().definitions["stage"]!))) {
      const values: Record<string, unknown> = {
        ...{ height: 2, width: 2, mean: 0, std: 1, scale: 2 },
        ...{ order: [0], shape: [1], top: 1, left: 1 },
      };
      if (kind === "onnx") {
        assert.deepEqual(options, ["model"]); // whose bytes and hash the library has
        continue;
      }
      const [stage] = checkStages("stage", [
        { ...values, kind, ...(kind === "clip" ? { size: 3 } : { channels: 1 }) },
      ]);
      same(
        options,
        Object.keys(stage!).filter((key) => key !== "kind"),
        kind,
      );
    }
  });

  it("has its paths resolved against its folder, and no others", () => {
    const config = parseConfig(
      {
        generator: "g.onnx",
        encoder: { model: "f.onnx", output: "y" },
        textEncoder: { model: "t.onnx", tokenizer: "t.json" },
        energy: { kind: "sum", terms: [{ energy: { kind: "onnx", model: "e.onnx" } }] },
        train: { pairs: "pairs", checkpoint: "c" },
        sample: {
          condition: {
            all: [
              { image: ["a.png", "b.png"] },
              { embedding: "e.json" },
              { text: "seven" },
              { embedding: [1] },
            ],
          },
        },
        outputs: { image: "o.png" },
      },
      (path) => `/here/${path}`,
    );
    assert.deepEqual(config, {
      generator: { model: "/here/g.onnx" },
      encoder: { model: "/here/f.onnx", output: "y" },
      textEncoder: { model: "/here/t.onnx", tokenizer: "/here/t.json" },
      energy: { kind: "sum", terms: [{ energy: { kind: "onnx", model: "/here/e.onnx" } }] },
      train: { pairs: "/here/pairs", checkpoint: "/here/c" },
      sample: {
        condition: {
          all: [
            { image: ["/here/a.png", "/here/b.png"] },
            { embedding: "/here/e.json" },
            { text: "seven" },
            { embedding: [1] },
          ],
        },
      },
      outputs: { image: "/here/o.png" },
    });
  });

  it("describes conditions and noise as the library takes them", async () => {
    const numbers = await buildCondition({
      all: [
        {
          condition: {
            embedding: [
              [1, 2],
              [3, 4],
            ],
          },
          weight: 2,
        },
        { embedding: [5, 6] },
      ],
    });
    assert.deepEqual(numbers, {
      all: [
        { condition: { embedding: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } }, weight: 2 },
        { embedding: { data: Float32Array.of(5, 6), shape: [1, 2] } },
      ],
    });
    assert.deepEqual(
      buildNoise({
        kind: "covariance",
        covariance: [
          [2, 0],
          [0, 3],
        ],
      }),
      {
        kind: "covariance",
        covariance: { data: Float32Array.of(2, 0, 0, 3), shape: [2, 2] },
      },
    );
  });

  describe("drives the command line", function () {
    this.timeout(300_000);
    let place: Awaited<ReturnType<typeof workplace>>;
    const save = async (name: string, config: unknown): Promise<string> => {
      await mkdir(dirname(place.path(name)), { recursive: true });
      await writeFile(place.path(name), JSON.stringify(config));
      return place.path(name);
    };
    before(async () => {
      place = await workplace();
    });
    after(() => place.remove());

    it("to the same bytes as options do, and options override it", async () => {
      const config = await save("sub/run.json", {
        generator: "../g.onnx",
        encoder: "../f.onnx",
        train: { pairs: 2000, epochs: 2 },
        sample: {
          condition: { class: [0, 1] },
          count: 3,
          sampler: { kind: "resample", candidates: 8, steps: 2 },
        },
        outputs: { translator: "t.safetensors", image: "o.png", latents: "l.safetensors" },
        seed: 3,
      });
      await done(["train", "--config", config]);
      await done([
        "train",
        ...place.models,
        "-n",
        "2000",
        "--epochs",
        "2",
        "--seed",
        "3",
        "-o",
        place.path("t2"),
      ]);
      const tensors = async (path: string) => [
        ...decodeSafetensors(await readFile(place.path(path)), path).tensors,
      ];
      assert.deepEqual(await tensors("sub/t.safetensors"), await tensors("t2"));

      const report = await done(["sample", "--config", config]);
      assert.deepEqual([report["conditions"], report["count"], report["seed"]], [2, 3, 3]);
      assert.equal((await readImage(place.path("sub/o.png"))).shape[0], 1);
      const line = [
        "sample",
        ...place.models,
        "--translator",
        place.path("t2"),
        "--class",
        "0,1",
        "-n",
        "3",
        "--seed",
        "3",
      ];
      await done([
        ...line,
        "--candidates",
        "8",
        "--steps",
        "2",
        "-o",
        place.path("o2.png"),
        "--latents",
        place.path("l2"),
      ]);
      assert.deepEqual(await tensors("sub/l.safetensors"), await tensors("l2"));

      const over = ["sample", "--config", config, "-o", place.path("o3.png"), "--latents", place.path("l3")];
      const changed = await done([...over, "--class", "1", "--seed", "4", "--steps", "0", "-n", "2"]);
      assert.deepEqual([changed["conditions"], changed["count"], changed["seed"]], [1, 2, 4]);
      const { gradients, forwards } = changed["evaluations"] as { gradients: number; forwards: number };
      assert.deepEqual(
        [gradients, forwards >= 2 * 8 && forwards % 8 === 0],
        [0, true],
        "candidates of the file",
      );
    });

    it("or says which file or key is wrong", async () => {
      const fails = async (args: string[], code: number, message: RegExp): Promise<void> => {
        const outcome = await tr0n(args);
        assert.equal(outcome.code, code, outcome.error);
        assert.match(outcome.error, message);
      };
      await fails(
        ["train", "--config", place.path("none.json")],
        1,
        /none\.json: cannot be read.*\[ERR_IO\]/,
      );
      await writeFile(place.path("torn.json"), '{"generator"');
      await fails(
        ["train", "--config", place.path("torn.json")],
        1,
        /torn\.json: expected JSON.*\[ERR_FILE_INVALID\]/,
      );
      const typo = await save("typo.json", { train: { epoch: 3 } });
      await fails(
        ["train", "--config", typo],
        1,
        /typo\.json: train: unknown key "epoch"; known are pairs.*\[ERR_FILE_INVALID\]/,
      );
      const empty = await save("empty.json", {});
      await fails(
        ["train", "--config", empty],
        2,
        /--out is missing, and .*empty\.json has no "outputs\.translator"/,
      );
      await fails(
        ["train", "--config", empty, "-o", place.path("x")],
        2,
        /--generator is missing, and .* no "generator"/,
      );
      await fails(["sample", "--config", empty], 2, /expected one of --class/);
      await fails(
        ["sample", "--config", empty, "--text", "seven", "-o", "x.png", "--translator", "t"],
        2,
        /--text-encoder/,
      );
      const other = await save("other.json", {
        generator: "g.onnx",
        encoder: "f.onnx",
        energy: { kind: "cosine" },
        outputs: { translator: "sub/t.safetensors", image: "x.png" },
      });
      await fails(["sample", "--config", other, "--class", "0"], 1, /another energy.*\[ERR_FILE_MISMATCH\]/);
      assert.deepEqual(await loadConfig(empty), {});
    });
  });

  it("the documented examples run", async function () {
    this.timeout(600_000);
    const folder = await mkdtemp(join(tmpdir(), "tr0n-config-"));
    try {
      await mkdir(join(folder, "docs"));
      for (const name of [
        "gan-generator.onnx",
        "classifier.onnx",
        "image-encoder.onnx",
        "text-encoder.onnx",
        "text-tokenizer.json",
      ])
        await cp(join(root, "models", name), join(folder, "models", name));
      const [text, classes] = await examples();
      const [first, second] = [join(folder, "docs", "text.json"), join(folder, "docs", "classes.json")];
      await writeFile(first, text!);
      await writeFile(second, classes!);
      await mkdir(join(folder, "docs", "out"));
      assert.equal((await done(["pairs", "--config", first]))["count"], 4000);
      assert.equal((await done(["train", "--config", first]))["pairs"], 4000);
      const obeyed = await done(["sample", "--config", first]);
      assert.equal((obeyed["energies"] as number[]).length, 8);
      const line = ["sample", "--config", first, "--sampler", "direct", "--start", "prior"];
      const prior = await done([
        ...line,
        "-o",
        join(folder, "prior.png"),
        "--latents",
        join(folder, "prior"),
      ]);
      const mean = ({ energies }: { energies?: unknown }): number =>
        (energies as number[]).reduce((sum, x) => sum + x, 0) / 8;
      assert.ok(mean(obeyed) < mean(prior) - 0.2, `${mean(obeyed)}, prior ${mean(prior)}`);
      await done(["train", "--config", second]);
      await done(["sample", "--config", second]);
      const { rows } = (await done(["evaluate", "--config", second])) as { rows: { recipe: string }[] };
      assert.deepEqual(
        rows.map(({ recipe }) => recipe),
        ["exact (rejection)", "resample + MALA (default)", "10 MALA steps"],
      );
      assert.ok((await readFile(join(folder, "docs", "out", "report.json"))).length > 100);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
