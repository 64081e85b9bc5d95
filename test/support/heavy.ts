/** Models that are small in bytes and large in work or in nodes, with random weights. */
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";

/** Numbers of about the size that keeps activations near 1. */
function weights(b: Builder, dims: readonly number[], fanIn: number, seed: number): string {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const data = Float32Array.from({ length: dims.reduce((p, q) => p * q, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * Math.sqrt(3 / fanIn);
  });
  return b.constant(data, dims, DataType.FLOAT);
}

class Net {
  private seed = 1;
  constructor(readonly b: Builder) {}

  conv(x: string, from: number, to: number, size: number, group = 1): string {
    const kernel = weights(this.b, [to, from / group, size, size], (from / group) * size * size, this.seed++);
    const pad = (size - 1) / 2;
    return this.b.op("Conv", [x, kernel], { pads: [pad, pad, pad, pad], group });
  }

  linear(x: string, from: number, to: number): string {
    return this.b.op("MatMul", [x, weights(this.b, [from, to], from, this.seed++)]);
  }

  ints(values: number[]): string {
    return this.b.constant(values, [values.length], DataType.INT64);
  }

  scalar(value: number): string {
    return this.b.constant([value], [], DataType.FLOAT);
  }

  silu(x: string): string {
    return this.b.op("Mul", [x, this.b.op("Sigmoid", [x])]);
  }

  norm(x: string, width: number): string {
    const ones = this.b.constant(new Float32Array(width).fill(1), [width], DataType.FLOAT);
    return this.b.op("LayerNormalization", [x, ones], { axis: -1 });
  }

  /** softmax(QKᵀ/√width)·V of tokens [N, T, width]. */
  attention(x: string, width: number): string {
    const [q, k, v] = [0, 1, 2].map(() => this.linear(x, width, width)) as [string, string, string];
    const scores = this.b.op("MatMul", [q, this.b.op("Transpose", [k], { perm: [0, 2, 1] })]);
    const scaled = this.b.op("Mul", [scores, this.scalar(1 / Math.sqrt(width))]);
    const mixed = this.b.op("MatMul", [this.b.op("Softmax", [scaled], { axis: -1 }), v]);
    return this.b.op("Add", [x, this.linear(mixed, width, width)]);
  }
}

/** Latents [N, 4·side²] → images [N, 3, 4·side, 4·side], as the decoder of a latent diffusion model: 3 MB of weights. */
export function attentionDecoder(side = 16, width = 96): Uint8Array {
  const b = new Builder(emptyGraph("decoder", 17));
  const net = new Net(b);
  const z = b.input("z", DataType.FLOAT, ["batch", 4 * side * side]);
  let x = net.conv(b.op("Reshape", [z, net.ints([-1, 4, side, side])]), 4, width, 3);
  const tokens = b.op("Transpose", [b.op("Reshape", [x, net.ints([0, width, side * side])])], {
    perm: [0, 2, 1],
  });
  const mixed = b.op("Transpose", [net.attention(tokens, width)], { perm: [0, 2, 1] });
  x = b.op("Reshape", [mixed, net.ints([0, width, side, side])]);
  const scales = b.constant([1, 1, 2, 2], [4], DataType.FLOAT);
  for (let level = 0; level < 3; level++) {
    if (level > 0) x = b.op("Resize", [x, null, scales], { mode: "nearest" });
    for (let i = 0; i < 3; i++) x = b.op("Add", [x, net.conv(net.silu(x), width, width, 3)]);
  }
  b.output("image", b.op("Tanh", [net.conv(x, width, 3, 3)]));
  return encodeModel(b.graph);
}

/** Images [N, 3, size, size] → scores [N, 10] of a vision transformer: 8 MB of weights. */
export function visionTransformer(size = 64, width = 160, layers = 8): Uint8Array {
  const patch = 8;
  const tokens = (size / patch) ** 2;
  const b = new Builder(emptyGraph("vit", 17));
  const net = new Net(b);
  const image = b.input("image", DataType.FLOAT, ["batch", 3, size, size]);
  const kernel = weights(b, [width, 3, patch, patch], 3 * patch * patch, 99);
  const patches = b.op("Conv", [image, kernel], { strides: [patch, patch] });
  let x = b.op("Transpose", [b.op("Reshape", [patches, net.ints([0, width, tokens])])], { perm: [0, 2, 1] });
  for (let layer = 0; layer < layers; layer++) {
    x = net.attention(net.norm(x, width), width);
    const inner = net.silu(net.linear(net.norm(x, width), width, 4 * width));
    x = b.op("Add", [x, net.linear(inner, 4 * width, width)]);
  }
  const mean = b.op("ReduceMean", [net.norm(x, width)], { axes: [1], keepdims: 0 });
  b.output("scores", net.linear(mean, width, 10));
  return encodeModel(b.graph);
}

/** Latents [N, 16·side²] → images [N, 3, side, side] by so many small cells, as an NVAE has them: many nodes, few bytes. */
export function cellDecoder(cells = 200, side = 8, width = 16): Uint8Array {
  const b = new Builder(emptyGraph("cells", 17));
  const net = new Net(b);
  const z = b.input("z", DataType.FLOAT, ["batch", width * side * side]);
  let x = b.op("Reshape", [z, net.ints([-1, width, side, side])]);
  for (let cell = 0; cell < cells; cell++) {
    const wide = net.silu(net.conv(x, width, 2 * width, 1));
    const deep = net.conv(net.silu(net.conv(wide, 2 * width, 2 * width, 3, 2 * width)), 2 * width, width, 1);
    const mean = b.op("ReduceMean", [deep], { axes: [2, 3], keepdims: 0 });
    const gate = b.op("Sigmoid", [net.linear(mean, width, width)]);
    const gated = b.op("Mul", [deep, b.op("Reshape", [gate, net.ints([0, width, 1, 1])])]);
    x = b.op("Add", [x, b.op("Mul", [gated, net.scalar(0.1)])]);
  }
  b.output("image", b.op("Tanh", [net.conv(x, width, 3, 3)]));
  return encodeModel(b.graph);
}

/** Images [N, 3, size, size] → scores [N, 10]. */
export function smallClassifier(size: number): Uint8Array {
  const b = new Builder(emptyGraph("small", 17));
  const net = new Net(b);
  const image = b.input("image", DataType.FLOAT, ["batch", 3, size, size]);
  const mean = b.op("ReduceMean", [net.silu(net.conv(image, 3, 16, 3))], { axes: [2, 3], keepdims: 0 });
  b.output("scores", net.linear(mean, 16, 10));
  return encodeModel(b.graph);
}
