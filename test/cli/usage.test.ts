import assert from "node:assert/strict";
import { Arguments } from "../../lib/cli/arguments.js";
import { UsageError } from "../../lib/cli/errors.js";
import { readRun } from "../../lib/cli/models.js";
import { stage } from "../../lib/objective/stages.js";
import { tr0n } from "../support/cli.js";

const commands = [
  "devices",
  "doctor",
  "inspect",
  "differentiate",
  "pairs",
  "train",
  "translator",
  "sample",
  "evaluate",
];

/** What stands in for files: usage is checked before anything is opened. */
const models = ["--generator", "g", "--encoder", "f"];
const sample = ["sample", "--translator", "t", ...models, "-o", "x.png"];

describe("command line, usage", () => {
  it("has help for the program and for every command", async () => {
    for (const flag of ["--help", "-h", "help"]) {
      const { code, out } = await tr0n([flag]);
      assert.equal(code, 0);
      for (const name of commands) assert.match(out, new RegExp(`^  ${name} +[A-Z]`, "m"));
    }
    for (const name of commands) {
      const { code, out, error } = await tr0n([name, "--help"]);
      assert.equal(code, 0);
      assert.equal(error, "");
      assert.ok(out.startsWith(`Usage: tr0n ${name}`) && out.includes("--json"), out);
      assert.deepEqual((await tr0n([name, "-h"])).out, out);
    }
    assert.match((await tr0n(["--version"])).out, /^\d+\.\d+\.\d+/);
  });

  it("says how many rows of a model run at once", async () => {
    const run = async (line: Record<string, string>): Promise<number | "auto" | undefined> =>
      (await readRun(new Arguments("sample", line, []))).maxBatch;
    assert.equal(await run({ "max-batch": "7" }), 7);
    assert.equal(await run({ "max-batch": "auto" }), "auto");
    assert.equal(await run({}), undefined);
  });

  it("has a flag for each stage, in the order in which they apply", async () => {
    const run = async (line: Record<string, string | boolean>) =>
      (await readRun(new Arguments("train", line, []))).preprocess;
    assert.deepEqual(
      await run({
        ...{
          stage: "own.onnx",
          "clip-preprocess": true,
          normalize: "0.5,2",
          clamp: "-1,1",
          affine: "2,-1",
          grayscale: true,
          resize: "8x9",
        },
        ...{ pad: "1,2,3,4:edge", crop: "4x5+1+0", channels: "2,1,0", transpose: "2,0,1", reshape: "8,-1,3" },
      }),
      [
        stage.reshape([8, -1, 3]),
        stage.transpose([2, 0, 1]),
        stage.channels([2, 1, 0]),
        stage.crop({ height: 4, width: 5, top: 1, left: 0 }),
        stage.pad({ top: 1, right: 2, bottom: 3, left: 4 }, { mode: "edge" }),
        stage.resize(8, 9),
        stage.grayscale(),
        stage.affine(2, -1),
        stage.clamp(-1, 1),
        stage.normalize(0.5, 2),
        stage.clip(),
        { kind: "onnx", model: "own.onnx" },
      ],
    );
    assert.deepEqual(await run({ crop: "4x5" }), [stage.crop({ height: 4, width: 5 })]);
    assert.deepEqual(await run({ pad: "2" }), [stage.pad(2)]);
    assert.deepEqual(await run({ pad: "2:constant:-1" }), [stage.pad(2, { value: -1 })]);
    const wrong = {
      reshape: ["3,x", "-1,-1", "3,,2", "0"],
      transpose: ["1,2", "0,0", "2.5"],
      channels: ["-1", "a"],
      affine: ["2", "2,", "a,b", "1,2,3"],
      clamp: ["1,1", "2,1", "x"],
      normalize: ["0,0", "1", "0,x"],
      crop: ["4", "0x4", "4x4+1", "4x4-1-1"],
      pad: ["0", "1,2", "1:wrap", "1:edge:3", "1:constant:x", "1:constant:", "1:constant:1:2"],
    };
    for (const [name, values] of Object.entries(wrong))
      for (const value of values)
        await assert.rejects(run({ [name]: value }), (error: Error) => {
          assert.ok(error instanceof UsageError, `${name} ${value}: ${String(error)}`);
          return error.message.startsWith(`--${name}: expected `);
        });
  });

  const wrong: [string, string[], RegExp][] = [
    ["no command", [], /a command is missing/],
    ["an unknown command", ["explode"], /no command "explode"/],
    ["an inherited name as a command", ["toString"], /no command "toString"/],
    ["an unknown option of the program", ["--explode"], /no option "--explode"/],
    ["an unknown option", ["devices", "--explode"], /--explode/],
    ["an option without its value", [...sample, "--class"], /--class/],
    ["a flag with a value", ["devices", "--json=3"], /--json/],
    ["a missing argument", ["inspect"], /MODEL is missing/],
    ["too many arguments", ["inspect", "a", "b"], /unexpected argument "b"/],
    ["a missing option", ["differentiate", "a"], /--out is missing/],
    ["a missing generator", ["train", "--encoder", "f", "-o", "t"], /--generator is missing/],
    ["no condition", sample, /expected one of --class, --text, --image, --embedding, --condition, got none/],
    ["two conditions", [...sample, "--class", "1", "--image", "x"], /got --class and --image/],
    ["text without an encoder", [...sample, "--text", "seven"], /text needs --text-encoder and --tokenizer/],
    ["half a text encoder", [...sample, "--text", "seven", "--text-encoder", "m"], /--tokenizer is missing/],
    [
      "no rows at once",
      [...sample, "--class", "1", "--max-batch", "0"],
      /--max-batch: expected an integer ≥ 1/,
    ],
    ["an empty text", [...sample, "--text", ""], /--text: expected a value/],
    ["a condition that is no JSON", [...sample, "--condition", "seven"], /--condition: .*JSON/],
    [
      "a condition that is none",
      [...sample, "--condition", '{"all": [{"klass": 1}]}'],
      /--condition: condition\.all\[0\]: expected an object with class/,
    ],
    ["a class that is no number", [...sample, "--class", "seven"], /--class: expected classes such as 7/],
    ["a range that goes back", [...sample, "--class", "9-0"], /--class/],
    [
      "count 0",
      [...sample, "--class", "1", "--count", "0"],
      /--count: expected an integer ≥ 1 and ≤ 4294967295, got "0"/,
    ],
    ["half a count", [...sample, "--class", "1", "-n", "1.5"], /--count/],
    ["a negative seed", [...sample, "--class", "1", "--seed=-1"], /--seed/],
    [
      "an unknown sampler",
      [...sample, "--class", "1", "--sampler", "best"],
      /one of resample, mala, langevin/,
    ],
    [
      "an option of another sampler",
      [...sample, "--class", "1", "--sampler", "mala", "--candidates", "9"],
      /--candidates/,
    ],
    [
      "fidelity that is no number",
      [...sample, "--class", "1", "--fidelity", "much"],
      /--fidelity: expected a finite number ≥ 0, got "much"/,
    ],
    [
      "an unknown energy",
      ["train", ...models, "-o", "t", "--energy", "dark"],
      /one of cosine, cross-entropy, squared-error/,
    ],
    [
      "an unknown kind",
      ["train", ...models, "-o", "t", "--encoder-kind", "scores"],
      /--encoder-kind: expected one of logits, probabilities, log-probabilities, embedding, got "scores"/,
    ],
    ["a range of one number", ["train", ...models, "-o", "t", "--generator-range", "1"], /LOW,HIGH/],
    ["a range that is upside down", [...sample, "--class", "1", "--generator-range", "1,0"], /LOW < HIGH/],
    ["two sources of pairs", ["train", ...models, "-o", "t", "--pairs", "p", "-n", "9"], /--count/],
    ["a bad size", ["train", ...models, "-o", "t", "--resize", "big"], /--resize: expected HxW/],
    ["an unknown variation", ["train", ...models, "-o", "t", "--augment", "color,fog"], /--augment: .*"fog"/],
    [
      "copies of nothing",
      [...sample, "--class", "1", "--copies", "3"],
      /--copies: expected --augment with it/,
    ],
    ["copies of none", [...sample, "--class", "1", "--augment", "none", "--copies", "3"], /--copies/],
    [
      "no copies",
      [...sample, "--class", "1", "--augment", "all", "--copies", "0"],
      /--copies: expected an integer ≥ 1 and ≤ 4096, got "0"/,
    ],
    ["a bound without its prior", ["train", ...models, "-o", "t", "--latent-bound", "2"], /--latent-bound/],
    ["no count of pairs", ["pairs", ...models, "-o", "d"], /--count is missing/],
    ["an unknown recipe", ["evaluate", "--translator", "t", ...models, "--recipes", "soup"], /--recipes/],
    ["an empty list", ["evaluate", "--translator", "t", ...models, "--recipes", "prior,"], /--recipes/],
  ];
  for (const [what, args, message] of wrong)
    it(`exits with 2 for ${what}`, async () => {
      const { code, out, error } = await tr0n(args);
      assert.equal(code, 2, error);
      assert.equal(out, "");
      assert.match(error, message);
      assert.match(error, /^tr0n: [^\n]+ \(see tr0n [a-z -]*--help\) \[ERR_USAGE\]\n$/);
    });

  it("gives machines the error as JSON too", async () => {
    const { code, json } = await tr0n(["differentiate", "a", "--json"]);
    assert.equal(code, 2);
    const { error } = json() as { error: { code: string; message: string } };
    assert.equal(error.code, "ERR_USAGE");
    assert.match(error.message, /--out is missing/);
  });

  it("shows the stack only when asked", async () => {
    assert.doesNotMatch((await tr0n(["explode"])).error, /\n +at /);
    process.env["TR0N_DEBUG"] = "1";
    try {
      assert.match((await tr0n(["explode"])).error, /\n +at /);
    } finally {
      delete process.env["TR0N_DEBUG"];
    }
  });

  it("reads classes, lists and numbers", () => {
    const read = (value: string) => new Arguments("x", { v: value }, []);
    assert.deepEqual(read("7").classes("v"), [7]);
    assert.deepEqual(read("0,1, 2").classes("v"), [0, 1, 2]);
    assert.deepEqual(read("0-3,8,5-6").classes("v"), [0, 1, 2, 3, 8, 5, 6]);
    assert.deepEqual(read("a, b").list("v"), ["a", "b"]);
    assert.equal(read("1e-3").number("v"), 1e-3);
    assert.equal(read("+12").integer("v", 0), 12);
    for (const bad of ["", "1,,2", "-1", "1-", "0x1", "1e3", "0-99999999"])
      assert.throws(() => read(bad).classes("v"), UsageError, bad);
    for (const bad of ["", "NaN", "Infinity", "1x"])
      assert.throws(() => read(bad).number("v"), UsageError, bad);
    for (const bad of ["", "1.0", "1e3", "99999999999999999999", "0x10"])
      assert.throws(() => read(bad).integer("v", 0), UsageError, bad);
    assert.equal(new Arguments("x", {}, []).classes("v"), undefined);
  });
});
