import type { Mutation } from "../mutations.js";

/** How rows are shared by threads, and sums over them. */
export const rows: readonly Mutation[] = [
  {
    file: "rows.cuh",
    find: "static_cast<size_t>(blockIdx.x) * blockDim.y + threadIdx.y",
    replace: "static_cast<size_t>(blockIdx.x) * blockDim.y",
    what: "all warps of a block at the same row",
    first: ["loss_squared_error.cu"],
  },
  {
    file: "rows.cuh",
    find: "return (size & 3) == 0 && ",
    replace: "return ",
    what: "vectors although rows are not whole ones",
    first: ["loss_squared_error.cu"],
  },
  {
    file: "rows.cuh",
    find: "if (at + 3 < size) row[at + 3] = x.w;",
    replace: "row[at + 3] = x.w;",
    what: "no check of a row's end when storing",
    first: ["mala_propose.cu"],
  },
  {
    file: "rows.cuh",
    find: "if (at + 2 < size) x.z = row[at + 2];",
    replace: "if (at + 2 <= size) x.z = row[at + 2];",
    what: "one element too many loaded at a row's end",
    first: ["loss_squared_error.cu"],
  },
  {
    file: "rows.cuh",
    find: "return (square(x.x) + square(x.y)) + (square(x.z) + square(x.w));",
    replace: "return (square(x.x) + square(x.y)) + square(x.z);",
    what: "the fourth element left out of a norm",
    first: ["optimise_rows.cu"],
  },
  {
    file: "reduce.cuh",
    find: "for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);",
    replace:
      "for (int offset = 16; offset > 1; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);",
    what: "the last step of a warp's sum left out",
    first: ["loss_squared_error.cu"],
  },
  {
    file: "reduce.cuh",
    find: "first = threadIdx.y * warps",
    replace: "first = 0",
    what: "rows of a block write their sums to the same place",
    first: ["loss_squared_error.cu"],
  },
  {
    file: "reduce.cuh",
    find: "  __syncthreads();\n#pragma unroll\n  for (int i = 0; i < Count; ++i) {\n    values[i] = parts[i][first];",
    replace: "#pragma unroll\n  for (int i = 0; i < Count; ++i) {\n    values[i] = parts[i][first];",
    what: "no barrier before a block's parts are added up",
    first: ["loss_squared_error.cu"],
  },
  {
    file: "reduce.cuh",
    find: "__syncthreads();  // the parts of a sum before have been read",
    replace: "",
    what: "no barrier before parts are overwritten",
    first: ["loss_weighted_sum.cu"],
  },
  {
    file: "reduce.cuh",
    find: "for (unsigned w = 1; w < warps; ++w) values[i] += parts[i][first + w];",
    replace: "for (unsigned w = 1; w + 1 < warps; ++w) values[i] += parts[i][first + w];",
    what: "the last warp's part left out",
    first: ["loss_weighted_sum.cu"],
  },
  {
    file: "reduce.cuh",
    find: "return isfinite(sum) ? sum + rest : sum;",
    replace: "return sum;",
    what: "what additions rounded off is lost",
    survives: "it adds up 32 terms at most, whose rounding is far below the tolerance of 1e-5",
    first: ["mixture_nll.cu"],
  },
  {
    file: "loss_squared_error.cu",
    find: "if (active && threadIdx.x == 0) error[row] = sum / static_cast<double>(size);",
    replace: "if (active && threadIdx.x == 0) error[row] = sum;",
    what: "the sum instead of the mean",
  },
  {
    file: "loss_squared_error.cu",
    find: "__fmul_rn(factor, __fsub_rn(p, t))",
    replace: "__fmul_rn(factor, __fsub_rn(t, p))",
    what: "the wrong sign of the gradient",
  },
  {
    file: "loss_weighted_sum.cu",
    find: "if (y != nullptr) total += y_factor * sum_of(y, n);",
    replace: "if (y != nullptr) total += x_factor * sum_of(y, n);",
    what: "the wrong factor of the second sum",
  },
  {
    file: "probe.cu",
    find: "__shfl_xor_sync(0xffffffffu, own, 1)",
    replace: "__shfl_xor_sync(0xffffffffu, own, 2)",
    what: "the wrong lane",
  },
];
