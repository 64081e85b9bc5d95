/** What `tr0n sample` writes, by the end of the file's name. */
import { gridLayout } from "../base/image.js";
import type { PictureLayout } from "../base/layout.js";
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import { writeSafetensors } from "../base/tensor-file.js";
import { signalsOf, wavPaths, writeWav, type WavFormat } from "../base/wav.js";
import { writeNpy } from "../base/write-npy.js";
import { filmEnds, filmLayout, isFilm, writeFilms } from "../image/films.js";
import { endOf, pictureEnds } from "../image/formats.js";
import { writeImages } from "../image/grid.js";
import type { Samples } from "../tr0n/samples.js";
import type { Arguments } from "./arguments.js";

/** How to write samples to a file. */
interface Output {
  /** The files that n samples take. */
  paths(n: number): string[];
  /** @throws ArgumentError for samples [n, …] that such a file cannot hold */
  check(shape: readonly number[], layout: PictureLayout | null, columns: number): void;
  /** Returns the files' paths. */
  write(samples: Samples, columns: number, signal: AbortSignal): Promise<string[]>;
}

interface Said {
  readonly scale: number;
  readonly rate: number | undefined;
  readonly wavFormat: WavFormat;
}

/** All ends, in words. */
export const outputEnds = `${pictureEnds.join(", ")} (images; films as .gif or .webp), .wav (sounds), .npy or .safetensors (all)`;

/** @throws UsageError for a name that ends otherwise, and for options that go with other ends */
export function outputFor(path: string, { scale, rate, wavFormat }: Said, args: Arguments): Output {
  const end = endOf(path);
  const one = { paths: () => [path] };
  const anything = {
    ...one,
    check: () => undefined,
  };
  if (end === ".npy")
    return {
      ...anything,
      write: async ({ images }, _, signal) => {
        await writeNpy(path, images, { signal });
        return [path];
      },
    };
  if (end === ".safetensors")
    return {
      ...anything,
      write: async ({ images, latents, energies }, _, signal) => {
        const tensors = { samples: images, latents, energies: { data: energies, shape: [energies.length] } };
        await writeSafetensors(path, tensors, { signal });
        return [path];
      },
    };
  if (end === ".wav") {
    if (rate === undefined)
      throw args.wrong("rate", "samples a second with a .wav file, such as --rate 16000", undefined);
    return {
      paths: (n) => wavPaths(path, n),
      check: (shape) => void signalsOf("samples", shape),
      write: ({ images }, _, signal) => writeWav(path, images, { rate, format: wavFormat, signal }),
    };
  }
  if (!pictureEnds.includes(end)) throw args.wrong("out", `a name that ends in ${outputEnds}`, path);
  return {
    ...one,
    check: (shape, layout, columns) => {
      if (isFilm(shape.slice(1)) && filmEnds.includes(end)) return void filmLayout(shape, { columns, scale });
      if (!layout)
        throw new ArgumentError(
          `${path}: expected samples that are images, got rows ${shapeText(shape.slice(1))}. Write them as .npy or .safetensors` +
            (isFilm(shape.slice(1)) ? `, or as ${filmEnds.join(" or ")}` : "") +
            (shape.length < 4 ? ", or as .wav where they are sounds" : "") +
            (shape.length === 2
              ? "; where they are images that lie flat, --reshape of `tr0n train` says how"
              : ""),
          { code: "ERR_SHAPE_MISMATCH" },
        );
      gridLayout(shape, { columns, scale }, layout);
    },
    write: async ({ images }, columns, signal) => {
      const grid = { columns, scale, signal };
      if (isFilm(images.shape.slice(1)) && filmEnds.includes(end))
        await writeFilms(path, images, { ...grid, ...(rate === undefined ? {} : { rate }) });
      else await writeImages(path, images, grid);
      return [path];
    },
  };
}
