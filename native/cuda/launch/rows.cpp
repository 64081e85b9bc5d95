#include "cuda/launch/rows.h"

#include "cuda/kernels.h"

namespace tr0n::cuda {

namespace {

constexpr unsigned kThreads = 256;

class CudaRowKernels final : public RowKernels {
 public:
  explicit CudaRowKernels(const Queue& queue) : queue_(queue) {}

  void copy(const CopyRows& a) const override {
    queue_.launch(rows_launch(queue_, "copy_rows", a.n, a.width), a.n, a.width, a.from, a.from_stride,
                  a.index, a.first, a.repeats, a.to, a.to_stride);
  }

  void add_groups(const AddGroups& a) const override {
    if (a.n == 0 || a.width == 0) return;
    const size_t groups = (a.first + a.n - 1) / a.repeats - a.first / a.repeats + 1;
    const unsigned threads = a.width <= 32 ? 32 : kThreads;
    // The grid's second side is short: wider rows go round.
    const unsigned columns = std::min(block_count(a.width, threads), 0xFFFFu);
    if (a.wide_sums != nullptr)
      queue_.launch({"add_groups_wide", {block_count(groups, 1), columns}, {threads}}, a.n, a.width, a.first,
                    a.repeats, a.from, a.wide_sums);
    else
      queue_.launch({"add_groups", {block_count(groups, 1), columns}, {threads}}, a.n, a.width, a.first,
                    a.repeats, a.from, a.sums);
  }

  void scale(const Scale& a) const override {
    queue_.launch({"scale_rows", {block_count(a.count, kThreads)}, {kThreads}}, a.count, a.factor, a.from,
                  a.wide_from, a.to);
  }

  void not_finite(const FindNotFinite& a) const override {
    queue_.launch(rows_launch(queue_, "find_not_finite", a.n, a.width), a.n, a.width, a.values, a.first);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const RowKernels> make_row_kernels(const Queue& queue) {
  return std::make_unique<CudaRowKernels>(queue);
}

}  // namespace tr0n::cuda
