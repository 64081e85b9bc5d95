#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tr0n {
namespace {

/// Rows of one group follow one another, and groups are independent: each is one item.
template <class Sum>
void add_groups(const AddGroups& a, Sum* sums) {
  if (a.n == 0) return;
  const size_t before = a.first / a.repeats, groups = (a.first + a.n - 1) / a.repeats - before + 1;
  for_ranges(groups, std::min(a.n, a.repeats) * (a.width / 4 + 1), [&](size_t begin, size_t end) {
    for (size_t g = begin; g < end; ++g) {
      const size_t from = std::max((before + g) * a.repeats, a.first) - a.first,
                   to = std::min((before + g + 1) * a.repeats, a.first + a.n) - a.first;
      for (size_t i = from; i < to; ++i)
        for (size_t j = 0; j < a.width; ++j)
          sums[g * a.width + j] += static_cast<Sum>(a.from[i * a.width + j]);
    }
  });
}

class CpuRowKernels final : public RowKernels {
 public:
  void copy(const CopyRows& a) const override {
    for_ranges(a.n, a.width / 4 + 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t row = a.index != nullptr ? a.index[i] : (a.first + i) / a.repeats;
        std::copy_n(a.from + row * a.from_stride, a.width, a.to + i * a.to_stride);
      }
    });
  }

  void add_groups(const AddGroups& a) const override {
    if (a.wide_sums != nullptr)
      tr0n::add_groups(a, a.wide_sums);
    else
      tr0n::add_groups(a, a.sums);
  }

  void scale(const Scale& a) const override {
    for_ranges(a.count, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        a.to[i] = a.wide_from != nullptr ? static_cast<float>(a.wide_from[i] * a.factor)
                                         : a.from[i] * static_cast<float>(a.factor);
    });
  }

  void not_finite(const FindNotFinite& a) const override {
    std::atomic<uint32_t> first{*a.first};
    for_ranges(a.n, a.width / 2 + 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        if (std::all_of(a.values + i * a.width, a.values + (i + 1) * a.width,
                        [](float x) { return std::isfinite(x); }))
          continue;
        const auto row = static_cast<uint32_t>(i);
        for (uint32_t known = first; row < known && !first.compare_exchange_weak(known, row);) {
        }
        return;
      }
    });
    *a.first = first;
  }
};

}  // namespace

std::unique_ptr<const RowKernels> make_row_kernels() { return std::make_unique<CpuRowKernels>(); }

}  // namespace tr0n
