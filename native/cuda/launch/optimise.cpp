#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

void CudaKernels::squared_error(size_t n, size_t size, const float* prediction, const float* target,
                                float scale, float bound, double* error, float* gradient) const {
  queue_.launch(rows_launch(queue_, "squared_error", n, size), n, size, prediction, target,
                2.0f * scale / static_cast<float>(size), bound, error, gradient);
}

void CudaKernels::weighted_sum(size_t n, const double* x, double x_factor, const double* y, double y_factor,
                               double* out) const {
  queue_.launch({"weighted_sum", {1}, {n <= 32 ? 32u : 512u}}, n, x, x_factor, y, y_factor, out);
}

void CudaKernels::optimise(const AdamStep* step, size_t count, const float* gradients,
                           const AdamArrays& arrays, const double* loss, StepTotals* totals) const {
  constexpr unsigned threads = 256, most = 4096;    // kMaxBlocks
  constexpr size_t elements = size_t{threads} * 8;  // of a block at a time
  const size_t resident = static_cast<size_t>(queue_.resident_blocks("optimise", threads, 0)) *
                          static_cast<size_t>(queue_.multiprocessors());
  const size_t wanted = std::max<size_t>(1, block_count(count, elements));
  const auto blocks = static_cast<unsigned>(std::min({wanted, resident, size_t{most}}));
  queue_.launch({"optimise", {blocks}, {threads}, 0, true}, step, count, gradients, arrays, loss, totals);
}

void CudaKernels::adam_rows(const AdamStep& adam, size_t n, size_t size, const float* gradients, float* m,
                            float* v, float* x) const {
  queue_.launch(rows_launch(queue_, "adam_rows", n, size), adam, n, size, gradients, m, v, x);
}

}  // namespace tr0n::cuda
