/** Films: tensors [n, C, T, H, W] as one moving picture of all of them. */
import { writeFileAtomic } from "../base/atomic-write.js";
import { checkNumber, checkPath, shapeText } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";
import { checkPixels, gridLayout, loadSharp, type GridOptions, type Images } from "../base/image.js";
import { checkRange, defaultRange } from "../base/range.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import { requireFinite } from "../native/rows.js";
import { endOf } from "./formats.js";

export interface FilmOptions extends GridOptions {
  /** Frames a second. Default 10. */
  rate?: number;
  signal?: AbortSignal;
}

/** The ends of names of files that move. */
export const filmEnds: readonly string[] = [".gif", ".webp"];

/** Whether rows are films that can be drawn: [1 or 3, T, H, W]. */
export function isFilm(row: readonly number[]): boolean {
  return row.length === 4 && (row[0] === 1 || row[0] === 3);
}

/** One frame of all films, and how many there are. @throws ArgumentError for a shape that gives no film, or a too large one */
export function filmLayout(shape: readonly number[], options: GridOptions = {}) {
  const [n = 0, channels = 0, frames = 0, height = 0, width = 0] = shape;
  if (!isFilm(shape.slice(1)) || n < 1 || frames < 1)
    throw new ArgumentError(
      `films: expected the shape [n, 1 or 3, frames, height, width] with at least one film, got ${shapeText(shape)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const { sheet, columns, gap, scale } = gridLayout([n, channels, height, width], options);
  checkPixels(sheet.width, sheet.height * frames);
  return { sheet, cells: { n, channels, height, width, columns, gap, scale }, frames };
}

/**
 * Writes one moving picture of all films, side by side as images are by {@link writeImages}, as .gif or .webp (lossless).
 *
 * @throws FileError ERR_IO (unwritable path, full disk) naming the path; ArgumentError for another end of the name or shape;
 *   AbortError
 */
export async function writeFilms(
  path: string,
  films: Tensor | Images,
  options: FilmOptions = {},
): Promise<void> {
  checkPath("path", path);
  const end = endOf(path);
  if (!filmEnds.includes(end))
    throw invalid("path", `the name of a moving picture, which ends in ${filmEnds.join(" or ")}`, path);
  checkTensor("films", films);
  const rate = checkNumber("rate", options.rate, 10, { above: 0, max: 100 });
  const own = "range" in films ? checkRange("films.range", films.range) : undefined;
  const [low, high] = checkRange("range", options.range) ?? own ?? defaultRange;
  const { sheet, cells, frames } = filmLayout(films.shape, options);
  const background = [...(options.background ?? [255, 255, 255])].map((level) => level & 255);
  const { n, channels, height, width } = cells;
  const { signal } = options;
  const data = new Float32Array(films.data);
  await requireFinite("films", data, signal);
  const area = height * width;
  const pixels = new Uint8Array(3 * sheet.width * sheet.height * frames);
  for (let t = 0; t < frames; t++) {
    const frame = new Float32Array(n * channels * area);
    for (let plane = 0; plane < n * channels; plane++) {
      const from = (plane * frames + t) * area;
      frame.set(data.subarray(from, from + area), plane * area);
    }
    const layout = { ...cells, low, high, background };
    const drawn = await runJob("writing films", signal, () => native().drawSheet({ owned: frame }, layout));
    pixels.set(drawn, t * drawn.length);
  }
  const sharp = await loadSharp();
  const raw = {
    width: sheet.width,
    height: sheet.height * frames,
    channels: 3,
    pageHeight: sheet.height,
  } as const;
  const moving = sharp(pixels, { raw });
  const how = { loop: 0, delay: new Array<number>(frames).fill(Math.round(1000 / rate)) };
  const bytes = await (end === ".gif" ? moving.gif(how) : moving.webp({ ...how, lossless: true })).toBuffer();
  await writeFileAtomic(path, bytes, { signal });
}
