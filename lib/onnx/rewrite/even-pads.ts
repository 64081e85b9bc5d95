/** Transposed convolutions whose padding is not the same on both sides. */
import { ints, makeAttribute, string } from "../attributes.js";
import type { Rewrite } from "./pass.js";

/**
 * ConvTranspose with the smaller pad of each axis on both sides, and what is then too much cut off behind it: ONNX Runtime's
 * CUDA provider leaves uneven pads to the CPU.
 */
export const evenPads: Rewrite = ({ b }, node) => {
  const x = node.inputs[0]!;
  const rank = b.rank(x);
  const pads = ints(node, "pads");
  if (rank === null || !pads || string(node, "auto_pad", "NOTSET") !== "NOTSET") return null;
  if (node.attributes.has("output_shape")) return null;
  const spatial = rank - 2;
  const [before, after] = [pads.slice(0, spatial), pads.slice(spatial)];
  const least = before.map((pad, i) => Math.min(pad, after[i]!));
  const cut = [...before, ...after].map((pad, i) => least[i % spatial]! - pad);
  if (cut.every((pad) => pad === 0)) return null;
  const name = b.names.fresh(`${node.name}/even`);
  const attributes = new Map(node.attributes);
  attributes.set("pads", makeAttribute("pads", [...least, ...least]));
  b.append({ ...node, name, attributes, outputs: [name] });
  return b.op("Pad", [name, b.ints([0, 0, ...cut.slice(0, spatial), 0, 0, ...cut.slice(spatial)])]);
};
