/**
 * Writes docs/operators.md from the rules themselves: `npx tsx scripts/operators.ts`. A test holds the page to what this
 * makes, so that it cannot fall behind.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { contribOperators } from "../lib/onnx/contrib/index.js";
import { constantOperators, rules } from "../lib/onnx/rules/index.js";
import { hasForm, poorOnWebgpu } from "../lib/onnx/targets/forms.js";
import { hasKernel, kernelSets, kernelsOf } from "../lib/onnx/targets/kernels.js";
import { canonicalOpset, oldestOpset } from "../lib/onnx/upgrade.js";
import { quantisedOperators } from "../lib/onnx/straight-through.js";
import { formNames } from "./operators/forms.js";

const page = fileURLToPath(new URL("../docs/operators.md", import.meta.url));

/** What a rule refuses or decides, by operators. Everything refused is an error that names the node. */
const notes: Record<string, string> = {
  AffineGrid: "needs the sizes of the grid",
  Attention:
    "masks, causal, grouped heads, keys and values of the past, capped scores; not with nonpad_kv_seqlen",
  "AveragePool LpPool":
    "needs the sizes of the windows; with ceil_mode or padding that is not counted also the input's",
  BatchNormalization: "at inference; training mode and statistics that depend on the input are refused",
  Clip: "bounds that depend on the input are differentiated too",
  Col2Im: "needs the sizes of image and patches",
  "Conv ConvTranspose":
    "1-D to 3-D; for input, weight and bias; auto_pad SAME needs the sizes of the input; output padding of a stride or more " +
    "must lie within the padding",
  CumProd: "needs the size of its axis",
  "DepthToSpace SpaceToDepth": "needs the number of channels",
  Det: "of matrices up to 8 × 8",
  "DFT STFT": "needs the length of the signal; not the inverse of one half",
  Dropout: "at inference, or with the ratio 0; training mode is refused",
  "Elu Celu Selu Relu LeakyRelu PRelu ThresholdedRelu": "at the kink as PyTorch decides it",
  GridSample: "modes nearest, linear and cubic, every padding mode; for the image and the grid",
  If: "a constant condition is resolved, any other one is differentiated branch by branch, up to 16 deep",
  "LSTM GRU RNN":
    "both directions, lengths, peepholes, all activations, batch first too; up to 32 steps are unrolled, more run in a Scan; needs " +
    "the size of the state",
  Loop:
    "a known number of steps: few are unrolled, more become a Scan where values keep their shapes; an end that data decide is " +
    "refused",
  "Max Min": "ties share the gradient equally",
  "MaxPool GlobalMaxPool": "the first of equal elements gets the gradient",
  Pad: "modes constant (negative too), reflect, edge and wrap; all but constant need the pads and sizes",
  ReduceProd: "needs the axes",
  Resize:
    "nearest, linear and cubic, antialias; coordinate modes asymmetric, align_corners, half_pixel, half_pixel_symmetric, " +
    "pytorch_half_pixel; needs the sizes of the resized axes",
  RotaryEmbedding: "tables that depend on the input are refused",
  Scan: "every direction and axis, of operator set 8 too; few steps are unrolled, the adjoint of more is a Scan",
  "ScatterElements ScatterND": "with reduction mul, at most 1024 updates may depend on the input",
  "TopK Unique": "of the values; the indices are constant",
};

/** What became of the forms on WebGPU: scripts/operators/webgpu.ts writes it. */
const webgpuForms = JSON.parse(
  readFileSync(new URL("operators/webgpu-forms.json", import.meta.url), "utf8"),
) as Record<string, string>;

/** Forms that are not taken on a target, and what is instead. */
const insteadOf: Record<"cuda" | "webgpu", Record<string, string>> = {
  cuda: {
    "ConvTranspose with uneven pads": "even pads, then cut",
    "MaxPool with indices": "the first of equals by comparisons",
  },
  webgpu: {
    "Conv of 6 channels to 4": "channels padded to 8",
    "ConvTranspose in groups of 1": "a second channel of zeros",
    "MaxPool with indices": "the first of equals by comparisons",
    "Resize with antialias": "products with constant matrices",
  },
};

/** In which operator sets a target runs an operator, and what is done where it does not. */
function support(target: "cuda" | "webgpu", opType: string): string {
  const sets = kernelSets(target, opType);
  const poor = target === "webgpu" && poorOnWebgpu.has(opType);
  if (hasKernel(target, opType, canonicalOpset) && !poor) return sets || "as Cast";
  if (hasForm(target, opType)) return "spelled out";
  return sets === "" ? "CPU" : sets;
}

function formRow(name: string): string {
  const cuda = insteadOf.cuda[name];
  const webgpu = insteadOf.webgpu[name];
  const said: Record<string, string> = { runs: "runs", cpu: "CPU", fails: "fails", wrong: "wrong" };
  return `| ${name} | runs | ${cuda ?? "listed"} | ${said[webgpuForms[name]!]!}${webgpu ? `: ${webgpu}` : ""} |`;
}

/** The page as it should be. */
export function operatorsPage(): string {
  const noteOf = new Map<string, string>();
  for (const [names, note] of Object.entries(notes))
    for (const name of names.split(" ")) {
      if (!rules.has(name)) throw new Error(`there is a note on ${name}, which has no rule`);
      noteOf.set(name, note);
    }
  const real = [...rules.keys()].filter(
    (name) => !constantOperators.has(name) && !quantisedOperators.has(name),
  );
  const rows = real
    .sort()
    .map(
      (name) =>
        `| ${name} | ${noteOf.get(name) ?? ""} | ${support("cuda", name)} | ${support("webgpu", name)} |`,
    );
  return `# Operators

Made by \`npx tsx scripts/operators.ts\` from the rules in lib/onnx/rules; do not edit.

Models of operator set ${oldestOpset} and newer are read and differentiated in the spelling of operator set ${canonicalOpset} or
their own, if that is newer. Model-local functions are inlined. \`tr0n inspect MODEL.onnx\` names every node of a model that
stops a gradient, before anything runs.

## With a gradient (${real.length})

The columns cuda and webgpu tell in which operator sets the provider has a kernel. Graphs for them are brought back to operator
set ${canonicalOpset} where they can be. "Spelled out": the graph gets other operators instead, which run there. "CPU": the
node falls to the CPU. On the CPU everything runs.

- webgpu: ${kernelsOf("webgpu")}, with the CPU's numbers (scripts/operators/webgpu.ts). That is not a GPU.
- cuda: ${kernelsOf("cuda")}. Nothing of it was run (scripts/operators/cuda.ts).

| operator | notes | cuda | webgpu |
| --- | --- | --- | --- |
${rows.join("\n")}

## Forms

What gradients and rewrites emit beyond an operator's plainest use, and what is taken where it does not run. Of WebGPU
${[...poorOnWebgpu].map(([name, why]) => `${name} (${why})`).join(", ")} are spelled out although there are kernels.

| form | cpu | cuda | webgpu |
| --- | --- | --- | --- |
${formNames.map(formRow).join("\n")}

## Constant almost everywhere (${constantOperators.size})

No gradient passes these: integers, shapes, comparisons, rounding, random numbers. Where some paths end in them the
gradient is that of the others. Where all do, differentiation would give zeros and nothing else: it is refused
(\`ERR_NO_GRADIENT\` names inputs, outputs and what stops the paths), and \`tr0n inspect\` says so for every pair of an input
and an output. Of the domain ai.onnx.ml the same holds for tree ensembles, Binarizer and LabelEncoder.

${[...constantOperators].sort().join(", ")}

Operators that draw random numbers (RandomNormal, RandomUniform, their Like forms, Bernoulli, Multinomial, Dropout in
training mode) are refused on the way to a differentiated output, unless they are accepted: \`allowRandom\`,
\`--allow-random\`.

## Of ONNX Runtime's own (${contribOperators().length})

Models that ONNX Runtime optimised and saved, or that its tools made, have operators of the domain com.microsoft (and
SimplifiedLayerNormalization among the standard ones). These are read as the standard operators that they stand for, and so
have gradients. Attention is not read with keys and values of the past. BiasAdd, BiasDropout, BiasSoftmax, BiasSplitGelu,
GemmFastGelu, GroupNorm, NhwcConv, SkipGroupNorm and packed MultiHeadAttention, which ONNX Runtime does not run on CPUs,
run that way too. Files that it saved at the level "all" hold operators for one kind of machine: save at "extended".

${contribOperators().join(", ")}

## Quantised numbers (${quantisedOperators.size})

Weights behind DequantizeLinear are constants like any other, and stay as small as they are. Where numbers on the path are
quantised, the gradient is 0 wherever there is one, so it is refused by the node's name (\`ERR_NO_GRADIENT\`) until
\`straightThrough\` (\`--straight-through\`) is given. Then it is the straight-through gradient of quantisation-aware training: 1
where a number lies within the range of its quantised type, and 0 where it is cut off, as in PyTorch's fake quantisation.
Scales and zero points count as constants; products of integers have the gradient of the real product. Round and casts to
whole numbers are the identity then, too; Floor, Ceil and Sign are not.

${[...quantisedOperators].sort().join(", ")}

Of the domain ai.onnx.ml Scaler, Normalizer (L1, L2), LinearRegressor and LinearClassifier (with a row of coefficients for each
class) are read as standard operators too.

## What these are held to

\`npm test\` holds every rule to finite differences, and the gradient of its gradient too; the runtime's own operators and
recurrent layers to the runtime's kernels. \`npm run test:slow\` exports all modules of torch.nn that export, and functions beside
them, at operator sets 7 to 17, and compares with PyTorch's gradients in float64 (scripts/fixtures/census); and it holds every
operator at every operator set from ${canonicalOpset} to the newest that the runtime takes to an interpreter of the specification in float64
(test/support/interpreter.ts).

## Any other operator

is an error only when an adjoint reaches it: \`ERR_NO_GRADIENT\` names the node, the operator and the value. One whose
results have a shape that nobody can tell is named itself, and not the operator behind it that needs the shape.
`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes("--check")) {
    if (readFileSync(page, "utf8") !== operatorsPage()) {
      process.stderr.write("docs/operators.md is out of date: npx tsx scripts/operators.ts\n");
      process.exitCode = 1;
    }
  } else writeFileSync(page, operatorsPage());
}
