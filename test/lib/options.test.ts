import assert from "node:assert/strict";
import { checkOptions, checkSeed, randomSeed } from "../../lib/base/check.js";
import {
  describeEnergy,
  energyFrom,
  flatten,
  flattenComplete,
  mustBeGiven,
} from "../../lib/objective/energy.js";
import { energy, latent, sampler, stage, type Energy, type Sampler, type Stage } from "../../lib/index.js";
import { checkLatent, latentBound, latentStd } from "../../lib/latent/latent.js";
import {
  checkKnownNoise,
  checkNoise,
  nativeNoise,
  noiseFromJson,
  noiseToJson,
} from "../../lib/translator/noise.js";
import { checkStages } from "../../lib/objective/stages.js";
import { checkSampler, nativeSampler, needsTranslator, samplerSteps } from "../../lib/sampling/sampler.js";
import { close, rejects } from "../support/tiny.js";

/** Values a JavaScript caller may pass for anything. */
const wrong = (value: unknown) => value as never;

describe("options", () => {
  it("refuses names it does not know, and what is no object", async () => {
    await rejects(
      () => checkOptions("options", { step: 1 } as object, [wrong("steps")]),
      "ERR_INVALID_ARGUMENT",
      /"step"; known are steps/,
    );
    for (const value of [null, 3, "text", [1], new Float32Array(1)])
      await rejects(
        () => checkOptions("options", wrong(value), []),
        "ERR_INVALID_ARGUMENT",
        /options: expected an object/,
      );
    assert.deepEqual(checkOptions("options", undefined, []), {});
  });

  it("takes whole seeds below 2^53 and draws different ones", async () => {
    assert.equal(checkSeed("seed", Number.MAX_SAFE_INTEGER), 2 ** 53 - 1);
    for (const seed of [-1, 0.5, 2 ** 53, Number.NaN, "1", 1n])
      await rejects(() => checkSeed("seed", seed), "ERR_INVALID_ARGUMENT", /seed/);
    const drawn = Array.from({ length: 20 }, randomSeed);
    assert.equal(new Set(drawn).size, 20);
    assert.ok(drawn.every((seed) => Number.isSafeInteger(seed) && seed >= 0));
    assert.ok(drawn.some((seed) => seed > 2 ** 48));
  });
});

describe("latent", () => {
  it("has the standard deviations and bounds of its distributions", () => {
    assert.equal(latentStd(latent.normal(3, { std: 2 })), 2);
    close([latentStd(latent.uniform(3, -1, 1))], [1 / Math.sqrt(3)], 1e-12);
    // scipy.stats.truncnorm(-2, 2).std(), and (-1, 1).std() · 3 for std 3 cut at 3
    close([latentStd(latent.truncatedNormal(3, 2))], [0.87962566103423978], 1e-9);
    close([latentStd(latent.truncatedNormal(3, 3, { std: 3 }))], [3 * 0.53956007517286], 1e-6);
    assert.equal(latentBound(latent.normal(3)), undefined);
    assert.equal(latentBound(latent.truncatedNormal(3, 2)), 2);
    assert.equal(latentBound(latent.uniform(3, -0.5, 2)), 2);
  });

  it("refuses what is no density", async () => {
    const bad: [() => unknown, RegExp][] = [
      [() => latent.normal(0), /dim: expected an integer ≥ 1/],
      [() => latent.normal(1.5), /dim/],
      [() => latent.normal(wrong(undefined)), /dim/],
      [() => latent.normal(2, { std: 0 }), /std: expected a finite number > 0, got 0/],
      [() => latent.normal(2, { std: Number.NaN }), /std/],
      [() => latent.normal(2, wrong({ sigma: 1 })), /unknown option "sigma"/],
      [() => latent.truncatedNormal(2, -1), /bound/],
      [() => latent.truncatedNormal(2, wrong(undefined)), /bound/],
      [() => latent.uniform(2, 1, 1), /high: expected a number above low/],
      [() => latent.uniform(2, 0, Infinity), /high/],
      [() => checkLatent("latent", { kind: "cauchy", dim: 2 }), /latent: expected one of/],
      [() => checkLatent("latent", { kind: "normal", dim: -2, std: 1 }), /dim/],
    ];
    for (const [make, message] of bad) await rejects(make, "ERR_INVALID_ARGUMENT", message);
  });
});

describe("sampler", () => {
  it("has the recommended defaults", () => {
    assert.deepEqual(sampler.resample(), {
      kind: "resample",
      options: {
        candidates: 16,
        maxCandidates: 256,
        minEss: 4,
        priorFraction: 0.1,
        steps: 4,
        fidelity: 1,
        stepSize: "auto",
        targetAccept: 0.57,
        maxDrift: "auto",
        adapt: true,
        pilotSteps: 50,
        rounds: 1,
      },
    });
    assert.equal(samplerSteps(sampler.resample({ fidelity: 10 }), undefined), 16);
    assert.equal(samplerSteps(sampler.resample({ fidelity: 2.9 }), undefined), 4);
    assert.equal(samplerSteps(sampler.resample({ fidelity: 10, steps: 2 }), undefined), 2);
    assert.equal(samplerSteps(sampler.resample(), 7), 7);
    assert.equal(samplerSteps(sampler.hybrid(), undefined), 100);
    assert.deepEqual(checkSampler("sampler", undefined), sampler.resample());
  });

  it("weighs the prior by the energy's prior terms, else by the kind of sampler", () => {
    const prior = latent.truncatedNormal(4, 2);
    const weight = (s: Sampler, terms: number | null) => nativeSampler(s, 1, terms, prior, 3).priorWeight;
    for (const s of [sampler.resample(), sampler.mala()]) assert.equal(weight(s, null), 1);
    for (const s of [sampler.langevin(), sampler.hybrid()]) assert.equal(weight(s, null), 0);
    for (const s of [sampler.resample(), sampler.langevin()]) {
      assert.equal(weight(s, 0), 0);
      assert.equal(weight(s, 2.5), 2.5);
    }
  });

  it("passes its options on, the call's steps before its own, and the prior's bound where none is given", () => {
    const prior = latent.truncatedNormal(4, 2);
    const config = nativeSampler(
      sampler.langevin({ learningRate: 5, steps: 9 }),
      3,
      null,
      prior,
      2 ** 53 - 1,
    );
    assert.deepEqual(config, {
      start: "translator",
      kernel: "langevin",
      groups: undefined,
      steps: 3,
      fidelity: 1,
      priorWeight: 0,
      learningRate: 5,
      momentum: 0.99,
      noise: 0.01,
      clip: 1,
      bound: 2,
      seed: 2n ** 53n - 1n,
    });
    assert.equal(nativeSampler(sampler.langevin({ bound: 0 }), 3, null, prior, 1).bound, 0);
    assert.equal(nativeSampler(sampler.hybrid(), 3, null, latent.normal(4), 1).bound, 0);
    assert.equal(nativeSampler(sampler.mala(), 0, null, prior, 1).kernel, "none");
    assert.equal(nativeSampler(sampler.resample({ steps: 0 }), 0, null, prior, 1).start, "resample");
    assert.equal(nativeSampler(sampler.direct({ start: "prior" }), 0, null, prior, 1).start, "prior");
  });

  it("knows which starts need a translator", () => {
    assert.ok(needsTranslator(sampler.resample()));
    assert.ok(needsTranslator(sampler.hybrid()));
    assert.ok(needsTranslator(sampler.mala()));
    assert.ok(!needsTranslator(sampler.mala({ start: "prior" })));
  });

  it("refuses options out of range and misspelt ones", async () => {
    const bad: [() => unknown, RegExp][] = [
      [() => sampler.resample({ candidates: 0 }), /candidates: expected an integer ≥ 1/],
      [
        () => sampler.resample({ candidates: 300, maxCandidates: 200 }),
        /maxCandidates: expected an integer ≥ 300/,
      ],
      [() => sampler.resample({ priorFraction: 1.1 }), /priorFraction/],
      [() => sampler.resample({ minEss: -1 }), /minEss/],
      [() => sampler.resample({ fidelity: -1 }), /fidelity/],
      [() => sampler.resample({ fidelity: wrong("3") }), /fidelity: expected a finite number ≥ 0, got "3"/],
      [() => sampler.mala({ targetAccept: 1 }), /targetAccept/],
      [() => sampler.mala({ stepSize: 0 }), /stepSize/],
      [() => sampler.mala({ adapt: wrong(1) }), /adapt: expected true, false or "pilot"/],
      [
        () => sampler.mala({ start: wrong("resample") }),
        /start: expected one of "translator", "mode", "prior"/,
      ],
      [() => sampler.langevin({ momentum: 1 }), /momentum/],
      [() => sampler.langevin({ noise: Number.NaN }), /noise/],
      [() => sampler.langevin(wrong({ lr: 1 })), /unknown option "lr"/],
      [() => sampler.hybrid({ steps: 2 ** 24 }), /steps/],
      [() => sampler.hybrid(wrong({ start: "prior" })), /unknown option "start"/],
      [() => checkSampler("sampler", { kind: "nuts", options: {} }), /sampler: expected one of/],
      [() => checkSampler("sampler", { kind: "toString" }), /sampler: expected one of/],
      [() => checkSampler("sampler", { kind: "mala", options: { steps: -1 } }), /steps/],
      [() => samplerSteps(sampler.mala(), -1), /steps/],
      [() => samplerSteps(sampler.direct(), 3), /takes no steps/],
    ];
    for (const [make, message] of bad) await rejects(make, "ERR_INVALID_ARGUMENT", message);
  });
});

describe("energy", () => {
  const bytes = Uint8Array.of(1, 2, 3);

  it("multiplies sums out and keeps the prior apart", () => {
    const whole = energy.sum(
      [energy.sum(energy.cosine(), [energy.prior(2), 3]), 0.5],
      [energy.cosine(), -2],
      energy.prior(),
    );
    assert.deepEqual(flatten(whole), {
      terms: [
        { energy: { kind: "cosine" }, weight: 0.5 },
        { energy: { kind: "cosine" }, weight: -2 },
      ],
      prior: 4,
      condition: "unit",
      linear: true,
    });
    assert.equal(flatten(energy.cosine()).prior, null);
    assert.equal(flatten(energy.sum(energy.cosine(), energy.prior(0))).prior, 0);
  });

  it("is linear in its condition without squaredError() and energies of one's own", () => {
    const linear = (...parts: Energy[]) => flatten(energy.sum(...parts, energy.prior())).linear;
    assert.ok(linear(energy.crossEntropy()) && linear(energy.cosine(), energy.cosine()));
    assert.ok(!linear(energy.cosine(), energy.squaredError()));
    assert.ok(!linear(energy.cosine(), energy.fromOnnx(bytes)));
  });

  it("finds what conditions are", () => {
    const kind = (e: Energy) => flatten(e).condition;
    assert.equal(kind(energy.crossEntropy()), "probabilities");
    assert.equal(kind(energy.cosine()), "unit");
    assert.equal(kind(energy.squaredError()), "raw");
    assert.equal(kind(energy.fromOnnx(bytes)), "raw");
    assert.equal(kind(energy.sum(energy.cosine(), energy.squaredError())), "raw");
    assert.equal(kind(energy.sum(energy.crossEntropy(), energy.fromOnnx(bytes))), "probabilities");
  });

  it("comes back from its description, but for the bytes of ONNX parts", async () => {
    const whole = energy.sum(energy.crossEntropy(), [energy.prior(0.5), 2]);
    const description = JSON.parse(JSON.stringify(describeEnergy(whole)));
    assert.deepEqual(energyFrom(description), whole);
    assert.ok(!mustBeGiven(description));
    const own = describeEnergy(energy.sum(energy.cosine(), energy.fromOnnx(bytes)));
    assert.ok(mustBeGiven(own));
    assert.ok(!JSON.stringify(own).includes("bytes"));
    await rejects(() => energyFrom(own), "ERR_INVALID_ARGUMENT");
  });

  it("copies the bytes it is given", () => {
    const given = Uint8Array.from(bytes);
    const own = energy.fromOnnx(given) as Energy & { kind: "onnx" };
    given[0] = 99;
    assert.equal(own.bytes[0], 1);
  });

  it("refuses what is no energy", async () => {
    const bad: [() => unknown, RegExp][] = [
      [() => energy.sum(), /at least one term/],
      [() => energy.sum(wrong(energy.cosine)), /term 1: expected an energy/],
      [() => energy.sum([energy.cosine(), Number.NaN]), /term 1, weight/],
      [() => energy.sum(wrong([energy.cosine()])), /term 1, weight/],
      [() => energy.sum(energy.crossEntropy(), energy.cosine()), /share one condition/],
      [() => energy.sum([energy.prior(), -1]), /prior weight ≥ 0/],
      [() => energy.prior(-1), /weight/],
      [() => energy.fromOnnx(wrong("model.onnx")), /bytes of an ONNX model/],
      [() => energy.fromOnnx(new Uint8Array(0)), /got none/],
      [() => flattenComplete(energy.prior()), /only prior terms/],
    ];
    for (const [make, message] of bad) await rejects(make, "ERR_INVALID_ARGUMENT", message);
  });
});

describe("stage", () => {
  it("maps ranges", () => {
    assert.deepEqual(stage.scale(), { kind: "affine", scale: 0.5, offset: 0.5 });
    assert.deepEqual(stage.scale([0, 255], [-1, 1]), { kind: "affine", scale: 2 / 255, offset: -1 });
  });

  it("survives JSON", () => {
    const all: Stage[] = [
      stage.resize(8, 9, { mode: "cubic" }),
      stage.normalize([1, 2, 3], 0.5),
      stage.affine(2),
      stage.clamp(),
      stage.grayscale(3),
      stage.clip({ size: 32 }),
      stage.transpose([2, 0, 1]),
      stage.reshape([3, -1, 8]),
      stage.crop({ height: 5, width: 6 }),
      stage.crop({ height: 5, width: 6, top: 0, left: 2 }),
      stage.pad(2),
      stage.pad({ left: 1, bottom: 3 }, { mode: "reflect" }),
      stage.pad({ top: 1 }, { value: -1 }),
      stage.channels([2, 1, 0]),
    ];
    assert.deepEqual(checkStages("preprocess", JSON.parse(JSON.stringify(all))), all);
    assert.deepEqual(checkStages("preprocess", undefined), []);
  });

  it("refuses what cannot be done", async () => {
    const bad: [() => unknown, RegExp][] = [
      [() => stage.resize(0, 4), /height/],
      [() => stage.resize(4, wrong(undefined)), /width/],
      [() => stage.resize(4, 4, { mode: wrong("lanczos") }), /mode: expected one of/],
      [() => stage.normalize([1, 2], [1, 2, 3]), /std: expected as many/],
      [() => stage.normalize(0, 0), /std: expected a finite number > 0/],
      [() => stage.normalize([], 1), /mean/],
      [() => stage.normalize([Number.NaN], 1), /mean\[0\]/],
      [() => stage.clamp(1, 1), /max: expected a number above min/],
      [() => stage.scale([1, 1]), /two different numbers/],
      [() => stage.grayscale(wrong(2)), /channels: expected 1 or 3/],
      [() => stage.transpose([0, 2]), /order: expected the axes 0 … 1, each once, got "\[0,2\]"/],
      [() => stage.transpose([0, 0, 1]), /order: expected the axes 0 … 2/],
      [() => stage.transpose([]), /order/],
      [
        () => stage.reshape([-1, 3, -1]),
        /shape: expected sizes above 0, of which one may be -1, got \[-1,3,-1\]/,
      ],
      [() => stage.reshape([0, 3]), /shape: expected sizes above 0/],
      [() => stage.reshape([2.5]), /shape\[0\]/],
      [() => stage.crop({ height: 2 } as never), /width/],
      [() => stage.crop({ height: 2, width: 2, top: -1 }), /top/],
      [() => stage.crop({ height: 2, width: 2, x: 1 } as never), /x/],
      [() => stage.pad(0), /expected pixels on one side at least/],
      [() => stage.pad({ above: 1 } as never), /above/],
      [() => stage.pad(1, { mode: wrong("wrap") }), /mode: expected one of/],
      [() => stage.pad(1, { mode: "edge", value: 1 }), /value: expected it with the mode "constant" alone/],
      [() => stage.channels([]), /order/],
      [() => stage.channels([-1]), /order\[0\]/],
      [() => stage.fromOnnx(wrong("stage.onnx")), /bytes of an ONNX model/],
      [() => stage.fromOnnx(new Uint8Array(0)), /got none/],
      [() => checkStages("preprocess", stage.clamp()), /preprocess: expected an array/],
      [() => checkStages("preprocess", [{ kind: "blur" }]), /preprocess\[0\]: expected a stage/],
      [() => checkStages("preprocess", [null]), /preprocess\[0\]/],
    ];
    for (const [make, message] of bad) await rejects(make, "ERR_INVALID_ARGUMENT", message);
  });
});

describe("condition noise", () => {
  it("survives JSON and becomes the addon's settings", () => {
    const covariance = { data: Float32Array.of(1, 0.5, 0.5, 2), shape: [2, 2] };
    for (const noise of [
      { kind: "isotropic", scale: 0.2 },
      { kind: "adaptive" },
      { kind: "covariance", covariance },
      { kind: "covariance", from: "pairs" },
      { kind: "covariance", from: "pairs", scale: 0.5 },
    ] as const) {
      const checked = checkNoise("noise", noise);
      assert.deepEqual(noiseFromJson(JSON.parse(JSON.stringify(noiseToJson(checked)))), checked);
    }
    assert.deepEqual(nativeNoise(checkKnownNoise("noise", { kind: "adaptive" }), 2), {
      noise: "adaptive",
      noiseScale: 1,
    });
    assert.deepEqual(nativeNoise(undefined, 2), { noise: "none" });
    assert.equal(noiseFromJson(null), undefined);
  });

  it("refuses what is no noise", async () => {
    await rejects(
      () => checkNoise("noise", { kind: "pink" }),
      "ERR_INVALID_ARGUMENT",
      /noise: expected condition noise/,
    );
    await rejects(() => checkNoise("noise", { kind: "isotropic" }), "ERR_INVALID_ARGUMENT", /noise.scale/);
    await rejects(
      () => checkNoise("noise", { kind: "isotropic", scale: -1 }),
      "ERR_INVALID_ARGUMENT",
      /noise.scale/,
    );
    const covariance = { data: new Float32Array(6), shape: [2, 3] };
    await rejects(
      () => checkNoise("noise", { kind: "covariance", covariance }),
      "ERR_SHAPE_MISMATCH",
      /square/,
    );
    for (const noise of [
      { from: "labels" },
      { from: "pairs", covariance: { data: new Float32Array(4), shape: [2, 2] } },
    ])
      await rejects(
        () => checkNoise("noise", { kind: "covariance", ...noise }),
        "ERR_INVALID_ARGUMENT",
        /noise.from: expected "pairs"/,
      );
    await rejects(
      () => checkKnownNoise("noise", { kind: "covariance", from: "pairs" }),
      "ERR_INVALID_ARGUMENT",
      /covarianceOf/,
    );
    const fine = checkKnownNoise("noise", {
      kind: "covariance",
      covariance: { data: new Float32Array(4), shape: [2, 2] },
    });
    await rejects(() => nativeNoise(fine, 3), "ERR_SHAPE_MISMATCH", /expected \[3, 3\]/);
  });
});
