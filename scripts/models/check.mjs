// Hold the ONNX files to the references that check.py wrote, through ONNX Runtime:
//   node scripts/models/check.mjs WEIGHTS [models]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";

const [weights, models = "models"] = process.argv.slice(2);
const folder = join(weights, "reference");
const arrays = { float32: Float32Array, int64: BigInt64Array };
const read = (file, type) => new arrays[type](new Uint8Array(readFileSync(join(folder, file))).buffer);

for (const c of JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"))) {
  const session = await InferenceSession.create(join(models, `${c.model}.onnx`));
  const x = new Tensor(c.type, read(`${c.model}-${c.batch}.in`, c.type), [c.batch, ...c.row]);
  const results = await session.run({ [c.input]: x });
  for (const output of c.outputs) {
    const actual = results[output].data;
    const expected = read(`${c.model}-${c.batch}.${output}.out`, "float32");
    if (actual.length !== expected.length)
      throw new Error(`${c.model}: ${actual.length} values, not ${expected.length}`);
    // Of the largest value, where that is over 1: float32 has no more digits.
    const size = expected.reduce((w, v) => Math.max(w, Math.abs(v)), 1);
    const worst = expected.reduce((w, v, i) => Math.max(w, Math.abs(v - actual[i])), 0) / size;
    console.log(`${c.model} ONNX, ${output}, batch ${c.batch}: largest difference ${worst.toExponential(2)}`);
    if (!(worst <= c.tolerance)) throw new Error(`${c.model}: ONNX differs from the eager network`);
  }
}
