/** Contact sheets: tensors [n, C, H, W] or [n, H, W, C] as one picture. Black and white are the ends of a range, by default [-1, 1]. */
import { writeFileAtomic } from "../base/atomic-write.js";
import { checkPath, shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import { gridLayout, type GridOptions, type Images, type Pixels } from "../base/image.js";
import { layoutOf, layoutSteps, type PictureLayout } from "../base/layout.js";
import { checkRange, defaultRange } from "../base/range.js";
import { checkTensor, elementCount, type Tensor } from "../base/tensor.js";
import { native } from "../native/binding.js";
import { callNative, runJob, throwIfAborted } from "../native/job.js";
import { requireFinite } from "../native/rows.js";
import type { NativeSheetLayout } from "../native/types/rows.js";
import { checkSides, encodePicture, pictureFormat } from "./formats.js";

function layoutFor(
  images: Tensor | Images,
  options: GridOptions,
): { layout: NativeSheetLayout; picture: PictureLayout; size: { width: number; height: number } } {
  const own = "range" in images ? checkRange("images.range", images.range) : undefined;
  const [low, high] = checkRange("range", options.range) ?? own ?? defaultRange;
  const { sheet: size, picture, ...cells } = gridLayout(images.shape, options, pictureOf(images));
  const background = [...(options.background ?? [255, 255, 255])].map((level) => level & 255);
  return { layout: { ...cells, low, high, background }, picture, size };
}

/** @throws ArgumentError for a layout of other rows */
function pictureOf(images: Tensor | Images): PictureLayout | null {
  const row = images.shape.slice(1);
  const given = "layout" in images ? images.layout : undefined;
  if (given === undefined) return layoutOf(row);
  if (elementCount(given.shape) !== elementCount(row))
    throw new ArgumentError(
      `images.layout: expected the shape of rows ${shapeText(row)}, got ${shapeText(given.shape)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return given;
}

/**
 * One picture of all images, filled row by row. Values are mapped from their range to 0…255 and clamped; images of one
 * channel become grey. This holds the calling thread, for some 50 ms with a thousand images of 64 × 64 pixels;
 * writeImages() does not.
 *
 * @throws ArgumentError unless `images` is [n, 1 or 3, H, W] or [n, H, W, 1 or 3], or has a layout, with n ≥ 1 and finite
 *   numbers.
 */
export function imageGrid(images: Tensor | Images, options: GridOptions = {}): Pixels {
  checkTensor("images", images, { finite: true });
  const { layout, picture, size } = layoutFor(images, options);
  const steps = layoutSteps(images.data, picture);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const { value } = step;
  return { data: callNative(() => native().drawSheetNow(value, layout)), ...size };
}

/**
 * Writes one picture of all images, atomically: after an error the path holds what it held before. The end of the name says
 * the format: .png, .jpg, .jpeg, .webp (lossless), .gif, .tif, .tiff or .avif.
 *
 * @throws FileError ERR_IO (unwritable path, full disk) naming the path; ArgumentError for another end, and as
 *   {@link imageGrid}.
 */
export async function writeImages(
  path: string,
  images: Tensor | Images,
  options: GridOptions & { signal?: AbortSignal } = {},
): Promise<void> {
  checkPath("path", path);
  const format = pictureFormat(path);
  checkTensor("images", images);
  const { layout, picture, size } = layoutFor(images, options);
  checkSides(path, format, size.width, size.height);
  const own = new Float32Array(images.data);
  await requireFinite("images", own, options.signal);
  const plain = await movedRows("writing images", own, picture, options.signal);
  const data = await runJob("writing images", options.signal, () =>
    native().drawSheet({ owned: plain }, layout),
  );
  await writeFileAtomic(path, await encodePicture(format, { data, ...size }), options);
}

/** {@link layoutSteps} that let the event loop turn. @throws AbortError */
export async function movedRows(
  what: string,
  data: Float32Array,
  layout: PictureLayout,
  signal: AbortSignal | undefined,
  back = false,
): Promise<Float32Array> {
  const steps = layoutSteps(data, layout, back);
  for (;;) {
    throwIfAborted(what, signal);
    const step = steps.next();
    if (step.done) return step.value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
