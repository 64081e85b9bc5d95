/** Col2Im: patches added up to an image. */
import { ints } from "../attributes.js";
import { define, expanded } from "./rule.js";

// x [N, C · block, patches] → [N, C, ...image]: a transposed convolution that puts every element of a patch in its place.
define(
  "Col2Im",
  expanded(({ b, x, node, y, fail }) => {
    const [image, block] = [b.shapes.numbers(x[1]!), b.shapes.numbers(x[2]!)];
    if (!image || !block || image.length !== block.length)
      throw fail("the sizes of its image and patches are known only at run time");
    const list = (name: string, fill: number, length: number): number[] =>
      ints(node, name) ?? new Array<number>(length).fill(fill);
    const d = image.length;
    const [strides, dilations] = [list("strides", 1, d), list("dilations", 1, d)];
    const pads = list("pads", 0, 2 * d);
    const area = block.reduce((p, q) => p * q, 1);
    if (area > 1 << 12) throw fail(`its patches of ${area} elements are too large`);
    const rest = image.map((size, i) => size + pads[i]! + pads[i + d]! - dilations[i]! * (block[i]! - 1) - 1);
    const counts = rest.map((size, i) => Math.floor(size / strides[i]!) + 1);
    const one = new Float64Array(area * area);
    for (let i = 0; i < area; i++) one[i * area + i] = 1;
    const images = b.op(
      "ConvTranspose",
      [b.reshape(x[0]!, [-1, area, ...counts]), b.constantLike(one, [area, 1, ...block], x[0]!)],
      {
        strides,
        dilations,
        pads,
        output_padding: rest.map((size, i) => size % strides[i]!),
      },
    );
    return b.reshapeLike(images, y);
  }),
);
