/** The text path end to end on the demo's models: sentences to samples that a classifier nobody else uses approves of. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { attributes, defaultPrompts, isHeldOut, wantedBy, type HeldOut } from "../../examples/prompts.js";
import { argmax } from "../../lib/evaluate/exact.js";
import {
  Tr0n,
  energy,
  loadModel,
  loadTokenizer,
  sampler,
  textEncoder,
  type Samples,
} from "../../lib/index.js";

const file = (name: string): URL => new URL(`../../models/${name}`, import.meta.url);
const prompts = [
  "a thick red seven on a blue background",
  "a white five on a blue background",
  "a black zero on a white background",
];

describe("text conditions", function () {
  this.timeout(120_000);

  it("make the generator draw what the sentence says", async () => {
    using generator = await loadModel(file("gan-generator.onnx"));
    using encoder = await loadModel(file("image-encoder.onnx"));
    using texts = await loadModel(file("text-encoder.onnx"));
    using judge = await loadModel(file("attribute-classifier.onnx"));
    const tokenizer = await loadTokenizer(file("text-tokenizer.json"));
    using tr0n = await Tr0n.create({
      generator,
      encoder,
      energy: energy.cosine(),
      textEncoder: textEncoder({ model: texts, tokenizer }),
      seed: 1,
    });
    await tr0n.train({ pairs: 6000, epochs: 6, batchSize: 128 });
    const options = { count: 8, seed: 2 };
    const mean = ({ energies }: Samples): number => energies.reduce((a, b) => a + b, 0) / energies.length;
    const prior = await tr0n.sample(
      { text: prompts },
      { ...options, sampler: sampler.direct({ start: "prior" }) },
    );
    const drafts = await tr0n.sample({ text: prompts }, { ...options, sampler: sampler.direct() });
    const samples = await tr0n.sample(
      { text: prompts },
      { ...options, sampler: sampler.resample({ fidelity: 130 }) },
    );
    assert.ok(mean(drafts) < mean(prior) - 0.15, `translator ${mean(drafts)}, prior ${mean(prior)}`);
    assert.ok(mean(samples) < mean(drafts) - 0.15, `samples ${mean(samples)}, translator ${mean(drafts)}`);

    const scores = await judge.run(samples.images);
    let right = 0;
    for (let i = 0; i < 24; i++) {
      const wanted = wantedBy(prompts[Math.floor(i / 8)]!);
      const is = (kind: "digit" | "stroke" | "background"): boolean => {
        const classes = attributes[kind].length;
        return argmax(scores[kind]!.data.subarray(i * classes, (i + 1) * classes)) === wanted[kind];
      };
      if (is("digit") && is("stroke") && is("background")) right++;
    }
    assert.ok(right >= 19, `${right} of 24 samples are right in digit and colours`);
  });

  it("of the demo name what the demo reads in them, half of them pairs that no training saw", () => {
    assert.deepEqual(wantedBy("the number two in thin blue strokes on a white backdrop"), {
      digit: 2,
      stroke: 2,
      background: 6,
      thickness: 0,
    });
    assert.deepEqual(wantedBy("magenta background, a green 8"), { digit: 8, stroke: 1, background: 4 });
    assert.deepEqual(wantedBy("a bold black zero on white"), {
      digit: 0,
      stroke: 7,
      background: 6,
      thickness: 2,
    });
    assert.deepEqual(wantedBy("a picture of a red number with a cyan background"), {
      stroke: 0,
      background: 5,
    });
    const manifest = JSON.parse(readFileSync(file("manifest.json"), "utf8")) as {
      name: string;
      metrics: { held_out: HeldOut };
    }[];
    const { held_out } = manifest.find(({ name }) => name === "text-encoder")!.metrics;
    const unseen = defaultPrompts.map((prompt) => isHeldOut(wantedBy(prompt), held_out));
    assert.deepEqual(unseen, [...Array<boolean>(8).fill(false), ...Array<boolean>(8).fill(true)]);
  });
});
