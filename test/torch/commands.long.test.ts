/** The command line and the demo on TorchScript files. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tr0n } from "../support/cli.js";
import { demoFile, needsTorch, torchFixture } from "../support/torch.js";

interface Sampled {
  energies: number[];
}

describe("torchscript: command line", function () {
  this.timeout(240_000);
  let folder: string;
  before(async function () {
    needsTorch(this);
    folder = await mkdtemp(join(tmpdir(), "tr0n-torch-"));
  });
  after(() => (folder ? rm(folder, { recursive: true, force: true }) : undefined));
  const done = async (args: string[]): Promise<Record<string, unknown>> => {
    const { code, error, json } = await tr0n([...args, "--json"]);
    assert.equal(code, 0, error);
    return json();
  };

  it("trains, samples and evaluates, with the samples of the ONNX files for the same seed", async () => {
    const results: number[][] = [];
    for (const extension of ["onnx", "pt"]) {
      const models = ["gan-generator", "classifier"].map((name) => demoFile(`${name}.${extension}`));
      const line = ["--generator", models[0]!, "--encoder", models[1]!];
      const translator = join(folder, `${extension}.safetensors`);
      const energy = ["--energy", "cross-entropy"];
      await done([
        "train",
        ...line,
        ...energy,
        "-n",
        "1000",
        "--epochs",
        "1",
        "--seed",
        "1",
        "-o",
        translator,
      ]);
      const out = join(folder, `${extension}.png`);
      const sampled = await done([
        ...["sample", "--translator", translator, ...line, "--class", "7", "--count", "3", "--seed", "2"],
        ...["-o", out],
      ]);
      results.push((sampled as unknown as Sampled).energies);
      const fromImage = await tr0n([
        ...[
          "sample",
          "--translator",
          translator,
          ...line,
          "--image",
          out,
          "--steps",
          "0",
          "-o",
          out,
          "--json",
        ],
      ]);
      assert.equal(fromImage.code, 0, fromImage.error);
      const evaluated = await done([
        ...["evaluate", "--translator", translator, ...line, "--samples", "20", "--reference", "20"],
        ...["--classes", "1,7", "--seed", "1"],
      ]);
      assert.ok(Number(evaluated["floor"]) > 0);
    }
    const [onnx, torch] = results as [number[], number[]];
    assert.equal(torch.length, 3);
    for (const [i, value] of torch.entries())
      assert.ok(Math.abs(value - onnx[i]!) < 1e-3, `${value}, ${onnx[i]}`);
  });

  it("inspect shows inputs, outputs and operators", async () => {
    const report = await done(["inspect", demoFile("classifier.pt")]);
    assert.equal(report["format"], "torchscript");
    assert.equal(report["class"], "networks.Classifier");
    assert.deepEqual(report["inputs"], [{ name: "image", type: "float32", shape: ["?", 3, 32, 32] }]);
    const operators = report["operators"] as { opType: string; count: number }[];
    assert.deepEqual(
      operators.find(({ opType }) => opType === "aten::linear"),
      { opType: "aten::linear", count: 2 },
    );
    const { out } = await tr0n(["inspect", demoFile("classifier.pt")]);
    assert.match(out, /TorchScript of networks\.Classifier, [\d,]+ parameters/);
    // softmax() of a script has a branch for each way to be called.
    assert.match((await tr0n(["inspect", torchFixture("scripted")])).out, /aten::softmax +2\n/);
    assert.deepEqual(report["withoutPath"], []);
    const signs = await tr0n(["inspect", torchFixture("signs")]);
    assert.match(
      signs.out,
      /Gradient of 0: .*signs\.pt: no path with a gradient .*: floor is constant.*\n.*resample/,
    );
    const { code, error } = await tr0n(["inspect", demoFile("classifier.pt"), "--wrt", "image"]);
    assert.equal(code, 2, error);
  });

  it("differentiate says what to do instead", async () => {
    const { code, error } = await tr0n([
      "differentiate",
      demoFile("classifier.pt"),
      "-o",
      join(folder, "d.onnx"),
    ]);
    assert.equal(code, 1);
    assert.match(
      error,
      /classifier\.pt: expected an ONNX model, got .*TorchScript.*\[ERR_MODEL_UNSUPPORTED\]/,
    );
  });
});
