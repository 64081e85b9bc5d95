import { blankPixels, pastePixels, type Pixels } from "../lib/base/image.js";
import { imageGrid } from "../lib/image/grid.js";
import type { Tensor } from "../lib/index.js";
import { label } from "./label.js";

export interface Group {
  title: string;
  /** [rows · columns, C, H, W], row by row. */
  images: Tensor;
}

const margin = 16;
const titleHeight = 30;

/**
 * Groups of images side by side under their titles; the rows, named at the left, go through all groups. `scale` pixels a
 * pixel of an image, `nameScale` a dot of a name.
 */
export function sheet(
  groups: readonly Group[],
  rowNames: readonly string[],
  scale = 2,
  nameScale = 3,
): Pixels {
  const rows = rowNames.length;
  const grids = groups.map(({ images }) =>
    imageGrid(images, { columns: images.shape[0]! / rows, gap: 2, scale }),
  );
  const names = rowNames.map((name) => label(name, nameScale));
  const nameWidth = Math.max(...names.map((name) => name.width)) + 12;
  const width = nameWidth + grids.reduce((sum, grid) => sum + grid.width + margin, margin);
  const height = titleHeight + grids[0]!.height + 2 * margin;
  const picture = blankPixels(width, height, [255, 255, 255]);
  const top = margin + titleHeight;
  const step = (grids[0]!.height - 2) / rows;
  names.forEach((name, row) => pastePixels(picture, name, margin, Math.round(top + (row + 0.5) * step - 10)));
  let left = margin + nameWidth;
  groups.forEach(({ title }, i) => {
    pastePixels(picture, label(title), left + 2, margin);
    pastePixels(picture, grids[i]!, left, top);
    left += grids[i]!.width + margin;
  });
  return picture;
}
