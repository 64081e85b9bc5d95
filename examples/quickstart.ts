import { Tr0n, loadModel, writeImages } from "tr0n";

// Both models stay frozen: z → image, and image → class scores.
const generator = await loadModel("models/gan-generator.onnx");
const encoder = await loadModel("models/classifier.onnx");
const tr0n = await Tr0n.create({ generator, encoder, seed: 1 });

// Trains the translator q(z | c), and nothing else, on pairs it makes itself.
const { gap, seconds } = await tr0n.train({ pairs: 20_000 });
console.log(`Trained in ${seconds.toFixed(0)} s, ${-gap.toFixed(2)} nats better than the prior.`);

// Sixteen sevens: 16 candidates each from the translator, one kept, then 4 MALA steps.
const { images, energies } = await tr0n.sample({ class: 7 }, { count: 16, seed: 1 });
await writeImages("out/sevens.png", images, { scale: 4 });
console.log(`out/sevens.png: p(7 | image) is ${Math.exp(-energies[0]!).toFixed(3)} for the first.`);

await tr0n.save("out/digits.safetensors"); // Tr0n.load("out/digits.safetensors", { generator, encoder })
