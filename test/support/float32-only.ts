/**
 * Operators that have rules and that ONNX Runtime 1.30 computes on CPUs in float32 but not in float64, by the operator sets
 * that the rules see (18 and newer). The cases of the rules-*.test.ts are held to finite differences in float64 where
 * no operator of theirs stands here, and else in float32; what float32 cannot tell apart is held to PyTorch
 * (scripts/fixtures/onnx/rules.py). kernels.test.ts asks the runtime whether all of this is so.
 */
interface Lack {
  operators: string;
  /** First and last operator set without float64. */
  from: number;
  to: number;
  why: string;
}

const lacks: Lack[] = [
  {
    operators:
      "Acos Acosh Asin Asinh Atan Atanh AveragePool Col2Im Conv ConvTranspose Cosh Det Erf GlobalAveragePool GlobalLpPool GlobalMaxPool " +
      "InstanceNormalization LRN LpPool MaxUnpool Mean OneHot RNN Resize Sinh Tan",
    from: 18,
    to: Infinity,
    why: "the kernel is for float32",
  },
  {
    operators: "Gelu",
    from: 18,
    to: Infinity,
    why: "it is spelled out with Erf, whose kernel is for float32",
  },
  { operators: "Celu", from: 18, to: Infinity, why: "the operator itself is defined for float32" },
  {
    operators: "RotaryEmbedding",
    from: 18,
    to: Infinity,
    why: "the operator itself is not defined for float64",
  },
  {
    operators: "MeanVarianceNormalization",
    from: 18,
    to: Infinity,
    why: "no kernel, and the function of the specification has float32 constants",
  },
  {
    operators: "Elu HardSigmoid HardSwish LeakyRelu Mish PRelu Selu Softplus Softsign ThresholdedRelu",
    from: 19,
    to: Infinity,
    why: "the kernel is for float32; at operator set 18 the runtime spells them out in others",
  },
  { operators: "GridSample", from: 18, to: 19, why: "the kernel for float64 came with operator set 20" },
];

/** Why an operator has no float64 at an operator set; null where it has. */
export function float32Only(opType: string, opset: number): string | null {
  const lack = lacks.find(
    ({ operators, from, to }) => operators.split(" ").includes(opType) && opset >= from && opset <= to,
  );
  return lack?.why ?? null;
}
