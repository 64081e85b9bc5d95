// Made by scripts/operators/webgpu.ts, which runs each; do not edit.
import type { KernelTable } from "./kernel-table.js";

export const webgpuKernels: KernelTable = {
  of: "what ONNX Runtime 1.30.0 ran on its WebGPU provider over SwiftShader",
  operators: {
    "24": "Swish",
    "18-19": "GridSample",
    "18-21":
      "Acos Acosh Asin Asinh Atan Atanh ConvTranspose Cos Cosh Elu GRU GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish LSTM MaxPool Sin Sinh Tan ThresholdedRelu",
    "18-22": "Flatten",
    "18-23": "Pad",
    "18-24": "AveragePool BatchNormalization Conv DepthToSpace Squeeze Transpose",
    "18-26":
      "Abs Add And Cast CastLike Ceil Clip Concat CumSum DFT Div Einsum Equal Erf Exp Expand Floor Gather GatherElements GatherND Gemm Greater GreaterOrEqual Identity InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log LpNormalization MatMul Max Min Mish Mul Neg Not PRelu Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ScatterElements ScatterND Sigmoid Slice Softmax Softplus Split Sqrt Sub Tanh Tile TopK Trilu Unsqueeze Where",
    "20-26": "Gelu",
    "23-26": "RMSNormalization RotaryEmbedding",
  },
};
