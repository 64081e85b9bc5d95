/** Contact sheets: tensors [n, C, H, W] as one picture. Black and white are the ends of a range, by default [-1, 1]. */
import { writeFileAtomic } from "../base/atomic-write.js";
import { encodeOwnPng, gridLayout, type GridOptions, type Images, type Pixels } from "../base/image.js";
import { checkRange, defaultRange } from "../base/range.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { native } from "../native/binding.js";
import { callNative, runJob } from "../native/job.js";
import { requireFinite } from "../native/rows.js";
import type { NativeSheetLayout } from "../native/types/rows.js";

function layoutOf(
  images: Tensor | Images,
  options: GridOptions,
): { layout: NativeSheetLayout; size: { width: number; height: number } } {
  const own = "range" in images ? checkRange("images.range", images.range) : undefined;
  const [low, high] = checkRange("range", options.range) ?? own ?? defaultRange;
  const { sheet: size, ...cells } = gridLayout(images.shape, options);
  const background = [...(options.background ?? [255, 255, 255])].map((level) => level & 255);
  return { layout: { ...cells, low, high, background }, size };
}

/**
 * One picture of all images, filled row by row. Values are mapped from their range to 0…255 and clamped; images of one
 * channel become grey. This holds the calling thread, for some 50 ms with a thousand images of 64 × 64 pixels;
 * writeImages() does not.
 *
 * @throws ArgumentError unless `images` is [n, 1 or 3, H, W] with n ≥ 1 and finite numbers.
 */
export function imageGrid(images: Tensor | Images, options: GridOptions = {}): Pixels {
  checkTensor("images", images, { finite: true });
  const { layout, size } = layoutOf(images, options);
  return { data: callNative(() => native().drawSheetNow(images.data, layout)), ...size };
}

/**
 * Writes one picture of all images as PNG, atomically: after an error the path holds what it held before.
 *
 * @throws FileError ERR_IO (unwritable path, full disk) naming the path; ArgumentError as {@link imageGrid}.
 */
export async function writeImages(
  path: string,
  images: Tensor | Images,
  options: GridOptions & { signal?: AbortSignal } = {},
): Promise<void> {
  checkTensor("images", images);
  const { layout, size } = layoutOf(images, options);
  const own = new Float32Array(images.data);
  await requireFinite("images", own, options.signal);
  const data = await runJob("writing images", options.signal, () =>
    native().drawSheet({ owned: own }, layout),
  );
  await writeFileAtomic(path, await encodeOwnPng({ data, ...size }), options);
}
