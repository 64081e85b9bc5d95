/** Picture files, by the ends of their names. */
import { extname } from "node:path";
import type { Sharp } from "sharp";
import { ArgumentError, describe } from "../base/errors.js";
import { loadSharp, type Pixels } from "../base/image.js";

interface PictureFormat {
  readonly encode: (picture: Sharp) => Sharp;
  /** Pixels of a side at most. */
  readonly side: number;
}

const jpeg: PictureFormat = {
  encode: (picture) => picture.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }),
  side: 65_535,
};
const tiff: PictureFormat = {
  encode: (picture) => picture.tiff({ compression: "deflate" }),
  side: 2 ** 28,
};

/** All but JPEG and AVIF keep every pixel; GIF has 256 colours. */
const formats: Readonly<Record<string, PictureFormat>> = {
  ".png": { encode: (picture) => picture.png(), side: 2 ** 28 },
  ".jpg": jpeg,
  ".jpeg": jpeg,
  ".webp": { encode: (picture) => picture.webp({ lossless: true }), side: 16_383 },
  ".gif": { encode: (picture) => picture.gif(), side: 65_535 },
  ".tif": tiff,
  ".tiff": tiff,
  ".avif": { encode: (picture) => picture.avif({ quality: 90 }), side: 16_383 },
};

/** The ends of names of picture files. */
export const pictureEnds: readonly string[] = Object.keys(formats);

/** The end of a path's name, in lower case. */
export function endOf(path: string): string {
  return extname(path).toLowerCase();
}

/** @throws ArgumentError for a path whose name does not end as a picture's does */
export function pictureFormat(path: string): PictureFormat {
  const end = endOf(path);
  if (!Object.hasOwn(formats, end))
    throw new ArgumentError(
      `path: expected a picture's name, which ends in ${pictureEnds.join(", ")}, got ${describe(path)}`,
    );
  return formats[end]!;
}

/** @throws ArgumentError for a picture that is larger than files of the format can be */
export function checkSides(path: string, { side }: PictureFormat, width: number, height: number): void {
  if (Math.max(width, height) > side)
    throw new ArgumentError(
      `path: expected at most ${side} pixels a side in ${endOf(path)} files, got ${width} × ${height}; .png has no such limit`,
    );
}

/** The bytes of a file of pixels that nobody outside has. */
export async function encodePicture(
  format: PictureFormat,
  { data, width, height }: Pixels,
): Promise<Uint8Array> {
  const sharp = await loadSharp();
  return format.encode(sharp(data, { raw: { width, height, channels: 3 } })).toBuffer();
}
