/** Rewrites that make graphs faster, one per file. None changes what is computed, nor any name that is a promise. */
import type { Graph } from "../graph.js";
import type { Target } from "../targets/target.js";
import { pairedChannels, paddedChannels } from "./even-channels.js";
import { evenPads } from "./even-pads.js";
import { joinedPads } from "./joined-pads.js";
import { biasedLinearLayer, linearLayer } from "./linear.js";
import { normalizedConvTranspose } from "./normalized.js";
import { patches } from "./patches.js";
import { rewritten, type Rewrite } from "./pass.js";
import { subPixel } from "./sub-pixel.js";
import { upsampledConvolution } from "./upsampled.js";
import { finish, type Steps } from "../steps.js";
import { hasResizeBehindTranspose, wholeResize } from "./whole-resize.js";

const ofProducts = new Map<string, Rewrite>([
  ["MatMul", linearLayer],
  ["Add", biasedLinearLayer],
]);
const ofNormalizations = new Map<string, Rewrite>([["BatchNormalization", normalizedConvTranspose]]);
/** Of images made larger: measured on the CPU. */
const ofEnlarged = new Map<string, Rewrite>([["Conv", upsampledConvolution]]);

const ofPads = new Map<string, Rewrite>([
  ["Add", joinedPads],
  ["Sum", joinedPads],
]);

const ofResizes = new Map<string, Rewrite>([["Resize", wholeResize]]);

/**
 * Of convolutions, by target. Patches and sub-pixels were measured on the CPU, where they spare a slow kernel; a GPU's kernels
 * gain nothing by them. What is there for GPUs are forms that their kernels compute at all, and rightly.
 */
const ofConvolutions: Readonly<Record<Target, ReadonlyMap<string, Rewrite>>> = {
  cpu: new Map([["ConvTranspose", (c, node) => patches(c, node) ?? subPixel(c, node)]]),
  cuda: new Map([["ConvTranspose", evenPads]]),
  webgpu: new Map([
    ["Conv", paddedChannels],
    ["ConvTranspose", pairedChannels],
  ]),
};

/** Of a model before it is differentiated: forms whose gradients are fast too. Changes `graph`. */
export function rewriteForward(graph: Graph, target: Target = "cpu"): Graph {
  return finish(forwardSteps(graph, target));
}

export function forwardSteps(graph: Graph, target: Target): Steps<Graph> {
  const has = (name: string): boolean =>
    graph.nodes.some(({ domain, opType }) => domain === "" && opType === name);
  return rewritten(
    graph,
    new Map([
      ...(has("MatMul") ? ofProducts : []),
      ...ofNormalizations,
      ...(target === "cpu" && has("Resize") ? ofEnlarged : []),
    ]),
  );
}

/** Of a differentiated graph: forms that are faster to run, but not to differentiate. Changes `graph`. */
export function rewriteBoth(graph: Graph, target: Target = "cpu"): Graph {
  return finish(bothSteps(graph, target));
}

export function bothSteps(graph: Graph, target: Target): Steps<Graph> {
  // Nearly every graph has sums: where nothing is padded, their shapes need not be found out once more.
  const padded = graph.nodes.some(({ domain, opType }) => domain === "" && opType === "Pad");
  const resized = hasResizeBehindTranspose(graph) ? ofResizes : [];
  return rewritten(graph, new Map([...(padded ? ofPads : []), ...resized, ...ofConvolutions[target]]));
}

/** What the runtime would spoil, in a form that it does not; nothing else is changed. Changes `graph`. */
export function sparedSteps(graph: Graph): Steps<Graph> {
  return rewritten(graph, ofResizes);
}
