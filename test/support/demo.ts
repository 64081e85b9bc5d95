import { fileURLToPath } from "node:url";
import { latent, loadModel, Tr0n, type Tr0nOptions } from "../../lib/index.js";

export const modelFile = (name: string): string =>
  fileURLToPath(new URL(`../../models/${name}.onnx`, import.meta.url));

/** The demo generator and classifier, composed. */
export async function demo(
  generator: "gan" | "vae" = "gan",
  options: Partial<Tr0nOptions> = {},
): Promise<Tr0n & Disposable> {
  const [G, f] = await Promise.all([
    loadModel(modelFile(generator === "gan" ? "gan-generator" : "vae-decoder")),
    loadModel(modelFile("classifier")),
  ]);
  return Tr0n.create({
    generator: G,
    encoder: f,
    latent: latent.normal(generator === "gan" ? 64 : 32),
    seed: 1,
    ...options,
  });
}
