// Hold the ONNX files to the references that check.py wrote, through ONNX Runtime:
//   node scripts/models/check.mjs WEIGHTS [models]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";

const [weights, models = "models"] = process.argv.slice(2);
const folder = join(weights, "reference");
const floats = (file) => new Float32Array(new Uint8Array(readFileSync(join(folder, file))).buffer);

for (const c of JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"))) {
  const session = await InferenceSession.create(join(models, `${c.model}.onnx`));
  const x = new Tensor("float32", floats(`${c.model}-${c.batch}.in`), [c.batch, ...c.row]);
  const actual = (await session.run({ [c.input]: x }))[c.output].data;
  const expected = floats(`${c.model}-${c.batch}.out`);
  if (actual.length !== expected.length)
    throw new Error(`${c.model}: ${actual.length} values, not ${expected.length}`);
  const worst = expected.reduce((w, v, i) => Math.max(w, Math.abs(v - actual[i])), 0);
  console.log(`${c.model} ONNX, batch ${c.batch}: largest difference ${worst.toExponential(2)}`);
  if (!(worst <= c.tolerance)) throw new Error(`${c.model}: ONNX differs from the eager network`);
}
