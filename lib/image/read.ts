/** Image files as tensors. */
import { reason } from "../base/atomic-write.js";
import { FileError } from "../base/errors.js";
import { checkWhole, loadSharp, type Images } from "../base/image.js";
import { checkRange, defaultRange, type Range } from "../base/range.js";
import { readWholeFile } from "../base/read-file.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";

/**
 * Reads an image of any format that sharp knows (PNG, JPEG, WebP, TIFF, GIF, AVIF, SVG) as a tensor [1, 3, H, W] in
 * `range` ([-1, 1]): sRGB, transparency over white, EXIF orientation applied. Where `size` is given it is scaled to cover
 * that size and cropped at the centre.
 *
 * @throws FileError ERR_IO when it cannot be read, ERR_FILE_INVALID when it is not an image, naming the path.
 */
export async function readImage(
  path: string,
  size?: { height: number; width: number },
  options: { range?: Range } = {},
): Promise<Images> {
  const range = checkRange("range", options.range) ?? defaultRange;
  const { data, height, width } = await readFloats(path, size, range, false);
  return { data, shape: [1, 3, height, width], range };
}

/** The same as planes [3, H, W], or with `luma` as one [H, W]. For tr0n's own modules. */
export async function readFloats(
  path: string,
  size: { height: number; width: number } | undefined,
  [low, high]: Range,
  luma: boolean,
  signal?: AbortSignal,
): Promise<{ data: Float32Array; height: number; width: number }> {
  if (size) {
    checkWhole("height", size.height, 1);
    checkWhole("width", size.width, 1);
  }
  let bytes: Buffer;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const sharp = await loadSharp();
  let pixels: Buffer;
  let width: number;
  let height: number;
  try {
    let image = sharp(bytes).rotate().flatten({ background: "#ffffff" }).toColourspace("srgb");
    if (size) image = image.resize({ ...size, fit: "cover" });
    const decoded = await image.removeAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    pixels = decoded.data;
    ({ width, height } = decoded.info);
    if (decoded.info.channels !== 3) throw new Error(`${decoded.info.channels} channels`);
  } catch (error) {
    throw new FileError(
      "ERR_FILE_INVALID",
      `${path}: expected an image (PNG, JPEG, WebP, …), got ${bytes.length} bytes that cannot be decoded: ` +
        (error as Error).message.split("\n")[0]!,
      { cause: error },
    );
  }
  const data = await runJob("reading an image", signal, () =>
    native().pixelsToFloats({ owned: pixels }, low, high, luma),
  );
  return { data, height, width };
}
