/** In which operator sets, newer than the one that graphs are brought back to, operators got a new version. */
const changes: Record<number, string> = {
  19: "AveragePool Cast CastLike Constant DeformConv DequantizeLinear Equal Identity If Loop Pad QuantizeLinear Reshape Resize Scan Shape Size",
  20: "AffineGrid ConstantOfShape DFT Gelu GridSample IsInf IsNaN ReduceMax ReduceMin",
  21:
    "Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten GroupNormalization Identity If Loop Pad QLinearMatMul " +
    "QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze",
  22:
    "Acos Acosh Asin Asinh Atan Atanh AveragePool Bernoulli Conv ConvTranspose Cos Cosh DeformConv Det Dropout Elu EyeLike GRU " +
    "GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample HardSigmoid HardSwish InstanceNormalization LSTM LpNormalization LpPool " +
    "MaxPool MaxRoiPool MaxUnpool Mish Multinomial NegativeLogLikelihoodLoss RNN RandomNormal RandomNormalLike RandomUniform " +
    "RandomUniformLike RoiAlign Round Selu Sin Sinh Softplus Softsign Tan ThresholdedRelu",
  23:
    "Attention Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear RMSNormalization " +
    "Reshape RotaryEmbedding Scan Shape Size Squeeze Transpose Unsqueeze",
  24:
    "Attention Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear Reshape Scan Shape " +
    "Size SplitToSequence Squeeze Swish TensorScatter TopK Transpose Unsqueeze",
  25:
    "Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear Reshape Scan Shape Size " +
    "Squeeze Transpose Unsqueeze",
  26: "BitCast CumProd",
};

/** The oldest and the newest operator set that tables of kernels speak of. */
export const [firstSet, lastSet] = [18, 26] as const;

/** The version of an operator in an operator set, where it is newer than `firstSet`; else null. */
export function newerVersion(opType: string, set: number): number | null {
  let version = null;
  for (const [at, names] of Object.entries(changes))
    if (Number(at) <= set && names.split(" ").includes(opType)) version = Number(at);
  return version;
}

/** Lists of operators by runs of operator sets, as a table of kernels has them. */
export function bySets(runs: ReadonlyMap<string, ReadonlySet<number>>): Record<string, string> {
  const lists = new Map<string, string[]>();
  for (const [opType, sets] of [...runs].sort(([p], [q]) => (p < q ? -1 : 1)))
    for (let from = firstSet as number; from <= lastSet; from++) {
      if (!sets.has(from)) continue;
      let to = from;
      while (sets.has(to + 1)) to++;
      const key = from === to ? `${from}` : `${from}-${to}`;
      lists.set(key, [...(lists.get(key) ?? []), opType]);
      from = to;
    }
  return Object.fromEntries(
    [...lists].sort(([p], [q]) => (p < q ? -1 : 1)).map(([key, names]) => [key, names.join(" ")]),
  );
}

/** The file of a table. */
export function tableFile(
  name: string,
  lines: readonly string[],
  of: string,
  operators: Record<string, string>,
): string {
  return `${lines.map((line) => `// ${line}`).join("\n")}
import type { KernelTable } from "./kernel-table.js";

export const ${name}: KernelTable = ${JSON.stringify({ of, operators }, null, 2)};
`;
}
