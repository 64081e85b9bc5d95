import { shapeText } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";
import { checkRange, sameRange } from "../base/range.js";
import { pictureShape } from "../base/layout.js";
import { movedRows } from "../image/grid.js";
import { readFloats } from "../image/read.js";
import { native } from "../native/binding.js";
import { requireFinite } from "../native/rows.js";
import { runJob } from "../native/job.js";
import { checkMemory } from "../native/memory.js";
import type { Objective } from "../objective/objective.js";
import { checkTensor, elementCount, isTensor, type Tensor } from "../base/tensor.js";

/**
 * The conditions [B, m] that images stand for: what stages and encoder say about them, in the form of conditions.
 *
 * @param value a path or several, or a Tensor [B, C, H, W] or [C, H, W] as the generator makes them; images that carry another
 *   range, as readImage() makes them, are brought to the generator's
 * @throws ArgumentError; FileError when a file cannot be read or is no image; AbortError
 */
export async function encodeImages(
  objective: Objective,
  name: string,
  value: unknown,
  signal: AbortSignal,
): Promise<Tensor> {
  const images = isTensor(value)
    ? await checkImages(name, value, objective, signal)
    : await readImages(name, value, objective, signal);
  const n = images.length / elementCount(objective.imageShape);
  checkMemory(`${name}: ${n} images`, 2 * 4 * images.length);
  const map = await objective.imageConditions(signal);
  const [conditions] = await runJob("encode", signal, () => map.run({ owned: images }, n));
  return { data: conditions!.data, shape: [n, objective.conditionSize] };
}

/** Copies them before it returns: they wait for a session. */
async function checkImages(
  name: string,
  value: Tensor,
  { imageShape: shape, range }: Objective,
  signal: AbortSignal,
): Promise<Float32Array> {
  checkTensor(name, value);
  const got = value.shape.length === shape.length ? [1, ...value.shape] : value.shape;
  if (got.length !== shape.length + 1 || shape.some((side, i) => got[i + 1] !== side))
    throw new ArgumentError(
      `${name}: expected the shape ${shapeText(["B", ...shape])}, as the generator makes images, got ${shapeText(value.shape)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (got[0] === 0) throw new ArgumentError(`${name}: expected at least one image, got none`);
  const own = "range" in value ? checkRange(`${name}.range`, value.range) : undefined;
  const data = new Float32Array(value.data);
  await requireFinite(name, data, signal);
  if (own === undefined || sameRange(own, range, 0)) return data;
  const scale = (range[1] - range[0]) / (own[1] - own[0]);
  return runJob("encode", signal, () => native().rescale({ owned: data }, own[0], scale, range[0]));
}

/** In the generator's own range, as stages and encoder get its images. */
async function readImages(
  name: string,
  value: unknown,
  { imageShape: shape, layout, range }: Objective,
  signal: AbortSignal,
): Promise<Float32Array> {
  const paths: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value];
  if (paths.length === 0) throw new ArgumentError(`${name}: expected at least one image, got none`);
  const wrong = paths.findIndex((path) => typeof path !== "string" || path === "");
  if (wrong >= 0)
    throw invalid(
      Array.isArray(value) ? `${name}[${wrong}]` : name,
      "a path, an array of paths or a Tensor",
      paths[wrong],
    );
  if (!layout)
    throw new ArgumentError(
      `${name}: expected a generator of images [1 or 3, height, width] to go with, got ${shapeText(shape)}; give a Tensor of such rows`,
    );
  const [channels, height, width] = pictureShape(layout);
  const data = new Float32Array(paths.length * elementCount(shape));
  for (const [index, path] of (paths as string[]).entries()) {
    const image = await readFloats(path, { height, width }, range, channels === 1, signal);
    const row = await movedRows("encode", image.data, layout, signal, true);
    data.set(row, index * elementCount(shape));
  }
  return data;
}
