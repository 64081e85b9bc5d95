/** How the numbers of a row are a picture: rows may have their channels last, or be flat. */
import { elementCount } from "./tensor.js";

/** A row in the shape `shape` is a picture whose channels, height and width are the axes `order` of it. */
export interface PictureLayout {
  /** Sizes of a row, without the batch: [C, H, W], [H, W, C] or the like. */
  readonly shape: readonly number[];
  /** Which axis of `shape` are channels, height and width: [0, 1, 2] for [C, H, W], [2, 0, 1] for [H, W, C]. */
  readonly order: readonly [number, number, number];
}

const channelsFirst = [0, 1, 2] as const;
const channelsLast = [2, 0, 1] as const;

/** Channels that images have, with an alpha channel or without. */
const imageChannels: readonly number[] = [1, 3, 4];

/** Whether a row can only be an image [H, W, C]: few numbers in its last axis, and many in the others. */
export function isChannelsLast(shape: readonly number[]): boolean {
  const [height = 0, width = 0, channels = 0] = shape;
  return shape.length === 3 && imageChannels.includes(channels) && Math.min(height, width) > 4;
}

/** Whether images of so many channels can be drawn. */
function drawn(channels: number | undefined): boolean {
  return channels === 1 || channels === 3;
}

/** The layout of rows that are pictures by their shape alone; null where they are none, or nobody can tell. */
export function layoutOf(shape: readonly number[]): PictureLayout | null {
  if (shape.length !== 3) return null;
  if (drawn(shape[0])) return { shape, order: channelsFirst };
  return isChannelsLast(shape) && drawn(shape[2]) ? { shape, order: channelsLast } : null;
}

/** Whether it is [C, H, W] as it stands. */
export function isPlain({ order }: PictureLayout): boolean {
  return order.every((axis, place) => axis === place);
}

/** [C, H, W] of a picture. */
export function pictureShape({ shape, order }: PictureLayout): [number, number, number] {
  return order.map((axis) => shape[axis]!) as [number, number, number];
}

/** Numbers that are moved before others have their turn. */
const atOnce = 1 << 18;

/** Rows as pictures [n, C, H, W], in slices of some of them; `back` makes rows of pictures. */
export function* layoutSteps(
  data: Float32Array,
  layout: PictureLayout,
  back = false,
): Generator<undefined, Float32Array, undefined> {
  if (isPlain(layout)) return data;
  const { shape, order } = layout;
  const size = elementCount(shape);
  const [channels, height, width] = pictureShape(layout);
  const [forChannel, forLine, forPixel] = order.map((axis) => elementCount(shape.slice(axis + 1))) as [
    number,
    number,
    number,
  ];
  const moved = new Float32Array(data.length);
  for (let row = 0, since = 0; row < data.length; row += size) {
    let place = row;
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++) {
        let other = row + c * forChannel + y * forLine;
        for (let x = 0; x < width; x++, other += forPixel, place++)
          if (back) moved[other] = data[place]!;
          else moved[place] = data[other]!;
      }
    if ((since += size) < atOnce) continue;
    since = 0;
    yield;
  }
  return moved;
}
