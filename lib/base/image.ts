/** Images as data: tensors [n, C, H, W] and 8-bit pixels, contact sheets' layout, and PNG. `sharp` is loaded at the first use. */
import type { Sharp, SharpOptions } from "sharp";
import { shapeText } from "./check.js";
import { ArgumentError, Tr0nError, invalid } from "./errors.js";
import { layoutOf, pictureShape, type PictureLayout } from "./layout.js";
import type { Range } from "./range.js";
import type { Tensor } from "./tensor.js";

/** 8-bit RGB pixels, row-major, [height, width, 3]. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Images [n, …] with the numbers that stand for black and white in them. */
export interface Images extends Tensor {
  readonly range: Range;
  /** How a row is a picture, where it is not [C, H, W]. */
  readonly layout?: PictureLayout;
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
 * Size and layout of a contact sheet of images [n, …], before there are any.
 *
 * @param layout how a row is a picture; default: as its shape tells
 * @throws ArgumentError for a shape or options that give no picture, or one that is too large
 */
export function gridLayout(
  shape: readonly number[],
  options: GridOptions = {},
  layout: PictureLayout | null | undefined = layoutOf(shape.slice(1)),
) {
  const [n = 0] = shape;
  const [channels, height, width] = layout ? pictureShape(layout) : [0, 0, 0];
  if (!layout || n < 1 || height < 1 || width < 1 || (channels !== 1 && channels !== 3))
    throw new ArgumentError(
      `images: expected the shape [n, 1 or 3, height, width] or [n, height, width, 1 or 3] with at least one image, got ${shapeText(shape)}; ` +
        "writeNpy() and writeSafetensors() write any rows, writeWav() sounds and writeFilms() films",
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const columns = checkWhole("columns", options.columns ?? Math.ceil(Math.sqrt(n)), 1);
  const gap = checkWhole("gap", options.gap ?? 2, 0);
  const scale = checkWhole("scale", options.scale ?? 1, 1);
  const sheet = {
    width: Math.min(columns, n) * (width * scale + gap) + gap,
    height: Math.ceil(n / columns) * (height * scale + gap) + gap,
  };
  checkPixels(sheet.width, sheet.height);
  return { picture: layout, n, channels, height, width, columns, gap, scale, sheet };
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

export function checkPixels(width: number, height: number): void {
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
  // A copy: sharp reads it from a thread of its own, and the caller may do with these pixels what it likes.
  const data = new Uint8Array(pixels.data);
  return (await loadSharp())(data, { raw: { width: pixels.width, height: pixels.height, channels: 3 } })
    .png()
    .toBuffer();
}

type SharpFactory = (input: Uint8Array, options?: SharpOptions) => Sharp;

export async function loadSharp(): Promise<SharpFactory> {
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

export function checkWhole(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least)
    throw invalid(name, `a whole number of at least ${least}`, value);
  return value;
}
