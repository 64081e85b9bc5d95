// Made by scripts/operators/cuda.ts; do not edit.
// Facts of docs/OperatorKernels.md of microsoft/onnxruntime; nothing of this ran on a GPU.
import type { KernelTable } from "./kernel-table.js";

export const cudaKernels: KernelTable = {
  of: "the kernels that ONNX Runtime's CUDA provider lists (commit 001d12d2623f)",
  operators: {
    "18": "Equal Pad Size",
    "18-19": "ConstantOfShape ReduceMax ReduceMin",
    "18-20": "Flatten Identity If Loop Scan",
    "18-21":
      "ConvTranspose Cos Dropout Elu EyeLike GRU GlobalAveragePool GlobalMaxPool InstanceNormalization LSTM MaxPool RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike RoiAlign Round Selu Sin Softplus Softsign ThresholdedRelu",
    "18-22": "DequantizeLinear QuantizeLinear",
    "18-23": "Cast Reshape Shape Squeeze TopK Transpose Unsqueeze",
    "18-26":
      "Abs Add Affine And ArgMax ArgMin AveragePool BatchNormalization Ceil Clip Compress Concat ConcatFromSequence Conv Crop CumSum DepthToSpace Div DynamicSlice Einsum Erf Exp Expand Floor Gather GatherElements GatherND Gemm Greater GreaterOrEqual GridSample HardSigmoid HardSwish ImageScaler IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max Min Mod Mul Neg NonZero Not OneHot Or PRelu ParametricSoftplus Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean ReduceProd ReduceSum ReduceSumSquare Relu Resize ReverseSequence ScaledTanh ScatterElements ScatterND Shrink Sigmoid Sign SimplifiedLayerNormalization Slice Softmax SpaceToDepth Split Sqrt Sub Sum Tanh Tile Trilu Where Xor",
    "20-26": "Gelu",
    "23-26": "Attention RMSNormalization RotaryEmbedding",
    "24-26": "TensorScatter",
  },
};
