#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaOptimiseKernels final : public OptimiseKernels {
 public:
  explicit CudaOptimiseKernels(const Queue& queue) : queue_(queue) {}

  void step(const Optimise& a) const override {
    constexpr unsigned threads = 256, most = 4096;    // kMaxBlocks
    constexpr size_t elements = size_t{threads} * 8;  // of a block at a time
    const size_t resident = static_cast<size_t>(queue_.resident_blocks("optimise", threads, 0)) *
                            static_cast<size_t>(queue_.multiprocessors());
    const size_t wanted = std::max<size_t>(1, block_count(a.count, elements));
    const auto blocks = static_cast<unsigned>(std::min({wanted, resident, size_t{most}}));
    queue_.launch({"optimise", {blocks}, {threads}, 0, true}, a.step, a.count, a.gradients, a.arrays, a.loss,
                  a.totals);
  }

  void rows(const AdamRows& a) const override {
    queue_.launch(rows_launch(queue_, "adam_rows", a.n, a.size), a.adam, a.n, a.size, a.gradients, a.m, a.v,
                  a.x);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const OptimiseKernels> make_optimise_kernels(const Queue& queue) {
  return std::make_unique<CudaOptimiseKernels>(queue);
}

}  // namespace tr0n::cuda
