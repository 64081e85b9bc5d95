import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { Translator, loadModel, tensor } from "../../lib/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { tr0n, workplace } from "../support/cli.js";

describe("command line, translators", () => {
  let place: Awaited<ReturnType<typeof workplace>>;
  before(async () => {
    place = await workplace();
  });
  after(() => place.remove());

  const line = (out: string, ...rest: string[]): string[] => [
    "train",
    ...place.models,
    ...["-n", "400", "--epochs", "2", "--seed", "9", "--device", "cpu", "--json", "-o", place.path(out)],
    ...rest,
  ];
  const train = async (out: string, ...rest: string[]): Promise<Record<string, unknown>> => {
    const { code, error, json } = await tr0n(line(out, ...rest));
    assert.equal(code, 0, error);
    return json();
  };
  const config = async (name: string): Promise<Record<string, unknown>> => {
    const { metadata } = decodeSafetensors(await readFile(place.path(name)), name);
    return (JSON.parse(metadata.get("config")!) as { translator: Record<string, unknown> }).translator;
  };

  it("train has the network's options, and files keep them", async () => {
    const report = await train(
      "a.safetensors",
      ...["--depth", "2", "--stds", "component", "--bound", "3", "--components", "4", "--hidden", "7"],
      ...["--rank", "2"],
      ...["--condition-noise", "covariance:0.5", "--calibrate", "--held-out", "50", "--patience", "1"],
    );
    assert.deepEqual([report["heldOut"], report["loss"]], [50, "nll"]);
    assert.equal((report["validation"] as number[]).length, report["epochs"]);
    assert.deepEqual(await config("a.safetensors"), {
      components: 4,
      hidden: 7,
      depth: 2,
      rank: 2,
      stds: "component",
      bound: 3,
      conditionNoise: { kind: "covariance", from: "pairs", scale: 0.5 },
    });
  });

  it("train takes condition noise in its three forms", async () => {
    const covariance = tensor([0.02, 0.01, 0.01, 0.03], [2, 2]);
    await writeFile(place.path("s.safetensors"), encodeSafetensors(new Map([["covariance", covariance]])));
    for (const [given, expected] of [
      ["isotropic:0.2", { kind: "isotropic", scale: 0.2 }],
      ["adaptive", { kind: "adaptive", scale: 1 }],
      ["adaptive:0.1", { kind: "adaptive", scale: 0.1 }],
      ["covariance", { kind: "covariance", from: "pairs", scale: 1 }],
      [
        `covariance:${place.path("s.safetensors")}`,
        { kind: "covariance", size: 2, covariance: [...covariance.data] },
      ],
    ] as const) {
      await train("n.safetensors", "--condition-noise", given);
      assert.deepEqual((await config("n.safetensors"))["conditionNoise"], expected, given);
    }
    for (const bad of ["pink", "isotropic", "isotropic:-1", "adaptive:x", "covariance:"]) {
      const { code, error } = await tr0n(line("n.safetensors", "--condition-noise", bad));
      assert.equal(code, 2, bad);
      assert.match(error, /--condition-noise: expected isotropic:S/);
    }
  });

  it("train has every loss, and says what the held-out pairs say", async () => {
    await train("m.safetensors", "--loss", "mse");
    const mse = await tr0n(line("m.safetensors", "--loss", "mse").filter((arg) => arg !== "--json"));
    assert.match(mse.out, /held-out mean squared error: \d/);
    const cosine = await tr0n(
      line("c.safetensors", "--loss", "cosine", "--temperature", "0.7", "--energy", "cosine").filter(
        (arg) => arg !== "--json",
      ),
    );
    assert.match(cosine.out, /held-out cosine: /);
    const wrong = await tr0n(line("c.safetensors", "--loss", "cosine"));
    assert.match(wrong.error, /class probabilities.*\[ERR_INVALID_ARGUMENT\]/);
  });

  it("sample says what a deterministic translator cannot do", async () => {
    await train("p.safetensors", "--loss", "mse");
    const sample = (...rest: string[]) =>
      tr0n([
        "sample",
        ...["--translator", place.path("p.safetensors"), ...place.models, "--class", "1"],
        ...["-o", place.path("p.png"), ...rest],
      ]);
    assert.match((await sample()).error, /deterministic.*sampler\.mala\(\)/);
    for (const sampler of ["direct", "mala", "langevin"])
      assert.equal((await sample("--sampler", sampler)).code, 0, sampler);
  });

  it("translator describes a file and writes it as ONNX", async () => {
    await train("t.safetensors", "--depth", "3");
    const out = place.path("t.onnx");
    const { code, error, json } = await tr0n([
      "translator",
      place.path("t.safetensors"),
      "-o",
      out,
      "--json",
    ]);
    assert.equal(code, 0, error);
    assert.deepEqual(json(), {
      translator: place.path("t.safetensors"),
      condition: 2,
      latent: 3,
      components: 10,
      hidden: 8,
      depth: 3,
      rank: 0,
      bound: 0,
      auxiliary: 0,
      stds: "shared",
      deterministic: false,
      onnx: out,
    });
    using model = await loadModel(out);
    using translator = Translator.fromSafetensors(await readFile(place.path("t.safetensors")), {
      device: "cpu",
    });
    const c = tensor([1, 0, 0.3, 0.7, 0, 1], [3, 2]);
    const expected = await translator.forward(c);
    const got = await model.run(c);
    for (const name of ["logits", "means", "stds"] as const) {
      assert.deepEqual(got[name]!.shape, expected[name].shape);
      got[name]!.data.forEach((x, i) =>
        assert.ok(Math.abs(x - expected[name].data[i]!) < 1e-5, `${name} ${x}`),
      );
    }
    assert.match(
      (await tr0n(["translator", place.path("t.safetensors")])).out,
      /c \[2\] → 10 components with shared stds in z \[3\]; hidden 8, residual blocks 3, rank full, bound none/,
    );
    assert.match((await tr0n(["translator", place.path("g.onnx")])).error, /ERR_FILE_INVALID/);
    assert.match((await tr0n(["translator", place.path("none")])).error, /ERR_IO/);
  });
});
