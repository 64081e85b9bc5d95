/**
 * Reading and writing images: tensors [n, C, H, W] ↔ PNG. Black and white are the ends of a range, by default [-1, 1].
 * `sharp` is loaded at the first use.
 */
import type { Sharp, SharpOptions } from "sharp";
import { reason, writeFileAtomic } from "./atomic-write.js";
import { ArgumentError, FileError, Tr0nError, invalid } from "./errors.js";
import { checkRange, defaultRange, type Range } from "./range.js";
import { readWholeFile } from "./read-file.js";
import { checkTensor, type Tensor } from "./tensor.js";

/** 8-bit RGB pixels, row-major, [height, width, 3]. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Images [n, C, H, W] with the numbers that stand for black and white in them. */
export interface Images extends Tensor {
  readonly range: Range;
}

export interface GridOptions {
  /** The numbers of black and of white. Default: the images' own range, as samples have it, else [-1, 1]. */
  range?: Range;
  /** Images in a row. Default: about as many as there are rows. */
  columns?: number;
  /** Pixels between images and around all of them, after scaling. Default 2. */
  gap?: number;
  /** Each pixel becomes scale × scale pixels; a whole number. Default 1. */
  scale?: number;
  /** Colour of the gaps: red, green and blue from 0 to 255. Default white. */
  background?: readonly [number, number, number];
}

/** Beyond this a contact sheet is refused rather than the process run out of memory. */
const maxPixels = 2 ** 28;

/**
 * Size and layout of a contact sheet of images [n, C, H, W], before there are any.
 *
 * @throws ArgumentError for a shape or options that give no picture, or one that is too large
 */
export function gridLayout(shape: readonly number[], options: GridOptions = {}) {
  const [n = 0, channels = 0, height = 0, width = 0] = shape;
  if (shape.length !== 4 || n < 1 || height < 1 || width < 1 || (channels !== 1 && channels !== 3))
    throw new ArgumentError(
      `images: expected the shape [n, 1 or 3, height, width] with at least one image, got [${shape.join(", ")}]`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const columns = whole("columns", options.columns ?? Math.ceil(Math.sqrt(n)), 1);
  const gap = whole("gap", options.gap ?? 2, 0);
  const scale = whole("scale", options.scale ?? 1, 1);
  const sheet = {
    width: Math.min(columns, n) * (width * scale + gap) + gap,
    height: Math.ceil(n / columns) * (height * scale + gap) + gap,
  };
  checkPixels(sheet.width, sheet.height);
  return { n, channels, height, width, columns, gap, scale, sheet };
}

/**
 * One picture of all images, filled row by row. Values are mapped from their range to 0…255 and clamped; images of one
 * channel become grey.
 *
 * @throws ArgumentError unless `images` is [n, 1 or 3, H, W] with n ≥ 1 and finite numbers.
 */
export function imageGrid(images: Tensor | Images, options: GridOptions = {}): Pixels {
  checkTensor("images", images, { finite: true });
  const own = "range" in images ? checkRange("images.range", images.range) : undefined;
  const [low, high] = checkRange("range", options.range) ?? own ?? defaultRange;
  const { n, channels, height, width, columns, gap, scale, sheet: size } = gridLayout(images.shape, options);
  const sheet = blankPixels(size.width, size.height, options.background ?? [255, 255, 255]);
  for (let i = 0; i < n; i++) {
    const left = gap + (i % columns) * (width * scale + gap);
    const top = gap + Math.floor(i / columns) * (height * scale + gap);
    for (let y = 0; y < height * scale; y++)
      for (let x = 0; x < width * scale; x++) {
        const source = Math.floor(y / scale) * width + Math.floor(x / scale);
        const target = 3 * ((top + y) * sheet.width + left + x);
        for (let k = 0; k < 3; k++) {
          const plane = i * channels + (channels === 3 ? k : 0);
          const value = images.data[plane * height * width + source]!;
          sheet.data[target + k] = Math.round(Math.min(1, Math.max(0, (value - low) / (high - low))) * 255);
        }
      }
  }
  return sheet;
}

/** Pixels of one colour. */
export function blankPixels(
  width: number,
  height: number,
  colour: readonly [number, number, number],
): Pixels {
  checkPixels(width, height);
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < data.length; i++) data[i] = colour[i % 3]!;
  return { data, width, height };
}

function checkPixels(width: number, height: number): void {
  if (width * height > maxPixels)
    throw new ArgumentError(`image: expected at most ${maxPixels} pixels, got ${width} × ${height}`);
}

/** Copies `source` into `target` with its top left corner at (left, top); what lies outside is cut off. */
export function pastePixels(target: Pixels, source: Pixels, left: number, top: number): void {
  for (let y = Math.max(0, -top); y < Math.min(source.height, target.height - top); y++)
    for (let x = Math.max(0, -left); x < Math.min(source.width, target.width - left); x++) {
      const from = 3 * (y * source.width + x);
      target.data.set(source.data.subarray(from, from + 3), 3 * ((top + y) * target.width + left + x));
    }
}

/** The pixels as the bytes of a PNG file. */
export async function encodePng(pixels: Pixels): Promise<Uint8Array> {
  const raw = { width: pixels.width, height: pixels.height, channels: 3 as const };
  // A copy: sharp reads it from a thread of its own, and the caller may do with these pixels what it likes.
  const data = new Uint8Array(pixels.data);
  return (await loadSharp())(data, { raw }).png().toBuffer();
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
  await writeFileAtomic(path, await encodePng(imageGrid(images, options)), options);
}

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
  const [low, high] = range;
  if (size) {
    whole("height", size.height, 1);
    whole("width", size.width, 1);
  }
  let bytes: Buffer;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const sharp = await loadSharp();
  let data: Buffer;
  let width: number;
  let height: number;
  try {
    let image = sharp(bytes).rotate().flatten({ background: "#ffffff" }).toColourspace("srgb");
    if (size) image = image.resize({ ...size, fit: "cover" });
    const decoded = await image.removeAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    ({ data } = decoded);
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
  const values = new Float32Array(3 * height * width);
  for (let i = 0; i < height * width; i++)
    for (let k = 0; k < 3; k++)
      values[k * height * width + i] = (data[3 * i + k]! / 255) * (high - low) + low;
  return { data: values, shape: [1, 3, height, width], range };
}

type SharpFactory = (input: Uint8Array, options?: SharpOptions) => Sharp;

async function loadSharp(): Promise<SharpFactory> {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    throw new Tr0nError(
      "ERR_RUNTIME_MISSING",
      `sharp, which reads and writes images, cannot be loaded: ${(error as Error).message.split("\n")[0]!}`,
      { cause: error },
    );
  }
}

function whole(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least)
    throw invalid(name, `a whole number of at least ${least}`, value);
  return value;
}
