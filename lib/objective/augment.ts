/** Differentiable augmentation: energies as means over varied copies of each image. */
import { shapeText } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";
import { defaultRange, type Range } from "../base/range.js";
import type { NativeAugmentation } from "../native/types/pipeline.js";
import { check } from "../options/check.js";
import {
  boolean,
  constant,
  either,
  integer,
  number,
  object,
  option,
  pair,
  required,
  type Checked,
  type TypeOf,
} from "../options/describe.js";
import { Builder, DataType, emptyGraph, type Dim, type Graph } from "../onnx/index.js";

const share = number({ min: 0, max: 1 });

/** @internal */
export const augmentationOptions = object(
  {
    copies: option(
      integer({ min: 1, max: 4096 }),
      "A, copies of each image that the energy is averaged over",
      {
        more:
          "Each is one more run of the encoder, forwards and backwards; the paper uses 50. Measured on the demo's GAN and classifier " +
          "with the whole policy: the cosine between the gradient of A copies and that of many is 0.37, 0.66, 0.74, 0.82 and 0.91 " +
          "for A = 1, 4, 8, 16 and 50, and the energy's standard deviation over draws 3.3, 1.8, 1.3, 0.9 and 0.6.",
        default: 8,
        flag: { value: "A" },
      },
    ),
    color: option(boolean(), "vary brightness, saturation and contrast", {
      more: "Of images in [-1, 1], or as much of the generator's range: brightness + U(−½, ½), saturation × U(0, 2), contrast × U(½, 1½).",
      default: true,
    }),
    translation: option(share, "largest shift in either direction, as a share of the side; 0: none", {
      more: "In whole pixels.",
      default: 1 / 8,
    }),
    resize: option(
      either(constant(false), pair(number({ min: 0.1, max: 10 }), "two factors [low, high]")),
      "range of the factor of both sides; false: none",
      {
        more: "The result is cropped, or padded by the middle of the generator's range.",
        default: Object.freeze([0.8, 1.2] as const),
      },
    ),
    cutout: option(share, "sides of the rectangle that is cut out, as a share of the image's; 0: none", {
      more: "It is set to the middle of the generator's range.",
      default: 1 / 2,
    }),
  },
  ({ resize }, name) => {
    if (Array.isArray(resize) && resize[0] > resize[1])
      throw invalid(name("resize"), "two factors [low, high] with low ≤ high", resize);
  },
);

export type AugmentationOptions = TypeOf<typeof augmentationOptions>;

/** @internal */
export const augmentationShape = object({
  kind: required(constant("policy"), "which"),
  ...augmentationOptions.form.properties,
});

/** How images are varied before an encoder sees them. Plain data; make one with {@link augmentation}. */
export type Augmentation = Checked<typeof augmentationShape>;

export const augmentation = {
  /**
   * The paper's policy "color, translation, resize, cutout": DiffAugment (Zhao et al., NeurIPS 2020) with a change of
   * size, in this order, on images as the generator makes them. The energy is the mean over `copies` of them.
   *
   * What is drawn for a chain depends on the seed, the chain and the step alone. langevin() and hybrid() draw anew in
   * each step, as the paper does. Samplers that compare energies (resample(), mala()) keep a chain's draw for the whole
   * run, so that their accept steps and weights are exact for that chain's energy; reported energies of results use
   * that draw, too. All copies of a draw share one factor of resize.
   *
   * @throws ArgumentError for options out of range, or when nothing is left to vary
   */
  policy(options?: AugmentationOptions): Augmentation {
    const made: Augmentation = Object.freeze({
      kind: "policy",
      ...check(augmentationOptions, options, { name: "augmentation.policy options" }),
    });
    if (!made.color && made.translation === 0 && made.resize === false && made.cutout === 0)
      throw new ArgumentError(
        "augmentation.policy: expected something to vary, but everything is switched off",
      );
    return made;
  },
};

/** @throws ArgumentError unless `value` is an augmentation; its options are checked again. */
export function checkAugmentation(name: string, value: unknown): Augmentation {
  const given = value as Augmentation | null;
  if (given === null || typeof given !== "object" || given.kind !== "policy")
    throw invalid(name, "an augmentation such as augmentation.policy()", value);
  const { kind, ...options } = given;
  return augmentation[kind](options);
}

/** The error for rows that are not images, and that no stage makes images of first of all. */
export function notAugmentable(shape: readonly number[]): ArgumentError {
  return new ArgumentError(
    `augment: expected a generator of images [batch, channels, height, width], got ${shapeText(["batch", ...shape])}. Rows that are images ` +
      "in another shape become such by preprocess: [stage.reshape([channels, height, width]), …], or by stage.transpose([2, 0, 1]) first of all",
    { code: "ERR_SHAPE_MISMATCH" },
  );
}

/** A share of a side in whole pixels, as DiffAugment rounds. */
const pixels = (share: number, side: number): number => Math.floor(share * side + 0.5);

/** A policy for images [C, height, width] as the addon draws its parameters. */
export function nativeAugmentation(a: Augmentation, shape: readonly number[]): NativeAugmentation {
  const [, height, width] = shape as [number, number, number];
  const [minScale, maxScale] = a.resize === false ? [1, 1] : a.resize;
  return {
    copies: a.copies,
    height,
    width,
    shiftY: pixels(a.translation, height),
    shiftX: pixels(a.translation, width),
    minScale,
    maxScale,
    cutoutHeight: pixels(a.cutout, height),
    cutoutWidth: pixels(a.cutout, width),
  };
}

/** Of a copy, in the order of native/bridge/augmentation.h. */
export const augmentationParameters = [
  "brightness",
  "saturation",
  "contrast",
  "shiftY",
  "shiftX",
  "scaleY",
  "offsetY",
  "scaleX",
  "offsetX",
  "cutoutY",
  "cutoutX",
] as const;

type Parameter = (typeof augmentationParameters)[number];

/**
 * (image [N, C, H, W], parameters [N, 11]) → augmented [N, C, H, W], one copy a row. Shift and resize are one linear map of
 * each axis, x' = R_y · x · R_xᵀ with matrices made of the parameters: row i of R interpolates at position
 * clamp(a·i + b) + t, so what a copy needs are a few numbers instead of two matrices. The policy is of images in [-1, 1], where 0
 * is gray: those of another `range` are brought there, and back.
 */
export function augmentGraph(
  a: Augmentation,
  shape: readonly number[],
  { batch = "batch", range = defaultRange }: { batch?: Dim; range?: Range } = {},
): Graph {
  const b = new Builder(emptyGraph("tr0n_augment"));
  const image = b.input("image", DataType.FLOAT, [batch, ...shape]);
  const all = b.input("parameters", DataType.FLOAT, [batch, augmentationParameters.length]);
  /** [N, 1, 1, 1] */
  const parameter = (name: Parameter): string => {
    const at = augmentationParameters.indexOf(name);
    const column = b.op("Slice", [all, b.ints([at]), b.ints([at + 1]), b.ints([1])]);
    return b.unsqueeze(column, [2, 3]);
  };
  const [half, middle] = [(range[1] - range[0]) / 2, (range[0] + range[1]) / 2];
  const plain = half === 1 && middle === 0;
  let x = plain
    ? image
    : b.op("Mul", [b.op("Sub", [image, b.scalar(middle, image)]), b.scalar(1 / half, image)]);
  if (a.color) x = emitColor(b, x, shape, parameter);
  if (a.translation > 0 || a.resize !== false) x = emitMotion(b, x, shape, parameter);
  if (a.cutout > 0) x = emitCutout(b, x, shape, a.cutout, parameter);
  if (!plain) x = b.op("Add", [b.op("Mul", [x, b.scalar(half, x)]), b.scalar(middle, x)]);
  b.output("augmented", x);
  return b.graph;
}

type Take = (name: Parameter) => string;

function emitColor(b: Builder, image: string, shape: readonly number[], take: Take): string {
  const [channels, height, width] = shape as [number, number, number];
  const size = channels * height * width;
  const spread = (x: string, mean: string, factor: string): string =>
    b.op("Add", [b.op("Mul", [b.op("Sub", [x, mean]), factor]), mean]);
  // Means as products: their gradient is a product, too, and needs no run-time shape of the image.
  const average = (count: number, dims: number[]): string =>
    b.constantLike(new Float32Array(count).fill(1 / count), dims, image);
  let x = b.op("Add", [image, take("brightness")]);
  if (channels > 1) {
    const planes = b.op("Reshape", [x, b.ints([0, channels, height * width])]);
    const mean = b.op("MatMul", [average(channels, [1, channels]), planes]);
    x = spread(x, b.op("Reshape", [mean, b.ints([0, 1, height, width])]), take("saturation"));
  }
  const flat = b.op("Reshape", [x, b.ints([0, size])]);
  const mean = b.op("MatMul", [flat, average(size, [size, 1])]);
  return spread(x, b.unsqueeze(mean, [2, 3]), take("contrast"));
}

function emitMotion(b: Builder, x: string, shape: readonly number[], take: Take): string {
  const [, height, width] = shape as [number, number, number];
  const column = motionMatrix(b, height, take("scaleY"), take("offsetY"), take("shiftY"), x);
  const row = motionMatrix(b, width, take("scaleX"), take("offsetX"), take("shiftX"), x);
  return b.op("MatMul", [b.op("MatMul", [column, x]), b.op("Transpose", [row], { perm: [0, 1, 3, 2] })]);
}

/** R [N, 1, n, n]: R_ik = max(0, 1 − |s_i − k|), zero where the resized image has no pixel i. */
function motionMatrix(
  b: Builder,
  n: number,
  scale: string,
  offset: string,
  shift: string,
  like: string,
): string {
  const index = Float32Array.from({ length: n }, (_, i) => i);
  const rows = b.constantLike(index, [1, 1, n, 1], like);
  const columns = b.constantLike(index, [1, 1, 1, n], like);
  const position = b.op("Add", [b.op("Mul", [rows, scale]), offset]);
  const clamped = b.op("Clip", [position, b.scalar(0, like), b.scalar(n - 1, like)]);
  const source = b.op("Add", [clamped, shift]);
  const distance = b.op("Abs", [b.op("Sub", [source, columns])]);
  const weight = b.op("Relu", [b.op("Sub", [b.scalar(1, like), distance])]);
  return b.op("Mul", [weight, within(b, position, b.scalar((n - 1) / 2, like), n, like)]);
}

/** 1 where |x − centre| < size / 2, else 0. */
function within(b: Builder, x: string, centre: string, size: number, like: string): string {
  const distance = b.op("Abs", [b.op("Sub", [x, centre])]);
  return b.castLike(b.op("Less", [distance, b.scalar(size / 2, like)]), like);
}

function emitCutout(b: Builder, x: string, shape: readonly number[], share: number, take: Take): string {
  const [, height, width] = shape as [number, number, number];
  const side = (n: number, axis: 2 | 3, centre: string): string => {
    const index = b.constantLike(
      Float32Array.from({ length: n }, (_, i) => i),
      axis === 2 ? [1, 1, n, 1] : [1, 1, 1, n],
      x,
    );
    return within(b, index, centre, pixels(share, n), x);
  };
  const cut = b.op("Mul", [side(height, 2, take("cutoutY")), side(width, 3, take("cutoutX"))]);
  return b.op("Mul", [x, b.op("Sub", [b.scalar(1, x), cut])]);
}
