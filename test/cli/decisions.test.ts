/** What the command line tells of decisions, and the pictures that it makes of generators of any range. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { DecisionLog } from "../../lib/cli/decisions.js";
import type { Progress } from "../../lib/cli/progress.js";
import { readImage } from "../../lib/image/read.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { tinyEncoder } from "../support/tiny.js";
import { tr0n, workplace } from "../support/cli.js";
import { numbers } from "../support/numbers.js";

/** z [N, 6] → image [N, 3, 4, 4] in [0, 1]. */
function sigmoidGenerator(): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const weights = b.constant(numbers(1, 6 * 48, -4, 4), [6, 48], DataType.FLOAT);
  const x = b.op("MatMul", [b.input("z", DataType.FLOAT, ["batch", 6]), weights]);
  b.output("image", b.reshape(b.op("Sigmoid", [x]), [-1, 3, 4, 4]));
  b.graph.outputs[0]!.dims = ["batch", 3, 4, 4];
  return encodeModel(b.graph);
}

describe("command line, decisions", () => {
  let place: Awaited<ReturnType<typeof workplace>>;
  let models: string[];
  before(async () => {
    place = await workplace();
    models = ["--generator", place.path("s.onnx"), "--encoder", place.path("o.onnx")];
    await writeFile(place.path("s.onnx"), sigmoidGenerator());
    await writeFile(place.path("o.onnx"), tinyEncoder({ output: "output" }));
  });
  after(() => place.remove());
  const train = (...rest: string[]): string[] => [
    "train",
    ...models,
    "-n",
    "100",
    "--epochs",
    "1",
    "-o",
    place.path("t.safetensors"),
    ...rest,
  ];
  const pairs = (...rest: string[]): string[] => [
    "pairs",
    ...models,
    "-n",
    "20",
    "-o",
    place.path("pairs"),
    ...rest,
  ];

  for (const [name, line] of [
    ["train", train],
    ["pairs", pairs],
  ] as const)
    it(`${name} prints them, and has them in its JSON, doubts among the warnings`, async () => {
      const { code, error, out } = await tr0n(line());
      assert.equal(code, 0, error);
      assert.match(
        error,
        /^tr0n: generatorRange: \[0, 1\], because the generator ends in Sigmoid, [^\n]*\ntr0n: warning: encoderKind: logits, because [^\n]+; pass --encoder-kind if that is wrong\n$/,
      );
      assert.doesNotMatch(out, /encoderKind/);
      const machine = await tr0n(line("--json"));
      assert.equal(machine.error, "");
      const { decisions, warnings } = machine.json() as {
        decisions: { option: string; value: string; certain: boolean }[];
        warnings: string[];
      };
      assert.deepEqual(
        decisions.map(({ option, value, certain }) => [option, value, certain]),
        [
          ["generatorRange", "[0, 1]", true],
          ["encoderKind", "logits", false],
        ],
      );
      assert.ok(warnings.some((text) => text.startsWith("encoderKind: logits, because")));
    });

  it("takes them from options, and from a configuration, and is silent then", async () => {
    const options = ["--encoder-kind", "embedding", "--generator-range", "0,2"];
    const given = await tr0n(train(...options, "--json"));
    assert.deepEqual([given.error, given.json()["decisions"]], ["", []]);
    const config = { generator: "s.onnx", encoder: "o.onnx", encoderKind: "logits", generatorRange: [0, 1] };
    await writeFile(place.path("run.json"), JSON.stringify(config));
    const line = [
      "train",
      "--config",
      place.path("run.json"),
      "-n",
      "100",
      "-o",
      place.path("t.safetensors"),
    ];
    const { code, error } = await tr0n(line);
    assert.deepEqual([code, error], [0, ""]);
    await writeFile(place.path("run.json"), JSON.stringify({ ...config, encoderKind: "scores" }));
    assert.match((await tr0n(line)).error, /encoderKind: expected one of .*logits/);
  });

  it("sample writes pictures from black to white, and says nothing that a file says", async () => {
    await tr0n(train("--encoder-kind", "logits"));
    const line = (...rest: string[]): string[] => [
      ...["sample", "--translator", place.path("t.safetensors"), ...models, "--class", "1", "-n", "16"],
      ...["--seed", "1", "-o", place.path("s.png"), ...rest],
    ];
    const quiet = await tr0n(line());
    assert.deepEqual([quiet.code, quiet.error], [0, ""]);
    const picture = await readImage(place.path("s.png"));
    const dark = picture.data.filter((x) => x < -0.5).length / picture.data.length;
    assert.ok(dark > 0.1, `${dark} of the numbers are dark`);
    const report = (await tr0n(line("--json"))).json();
    assert.deepEqual([report["decisions"], report["warnings"]], [[], []]);
    // Twice the range: nothing is brighter than gray.
    await tr0n(line("--generator-range", "0,2"));
    const half = await readImage(place.path("s.png"));
    const bright = (data: Float32Array): number => data.filter((x) => x > 0.1 && x < 0.99).length;
    assert.ok(bright(picture.data) > 0);
    assert.equal(bright(half.data), 0);
  });

  it("ends a progress bar before a line is printed", () => {
    const order: string[] = [];
    const progress = { stop: () => order.push("stop") } as unknown as Progress;
    const log = new DecisionLog(progress, (text) => order.push(text));
    log.listener({ option: "generatorRange", value: "[0, 1]", reason: "of this", certain: false });
    assert.deepEqual(order, [
      "stop",
      "tr0n: warning: generatorRange: [0, 1], because of this; pass --generator-range if that is wrong\n",
    ]);
    assert.equal(log.all.length, 1);
  });
});
