#pragma once
#include <cstddef>
#include <cstdint>

namespace tr0n {

/// `width` numbers of each of n rows: to_i = row index[i] of `from`, where `index` is null row (first + i) /
/// repeats. Rows begin from_stride and to_stride numbers apart. Moves 2·n·width.
struct CopyRows {
  size_t n = 0, width = 0;
  const float* from = nullptr;
  size_t from_stride = 0;
  const uint32_t* index = nullptr;  ///< [n]
  size_t first = 0, repeats = 1;
  float* to = nullptr;
  size_t to_stride = 0;
};

/// Adds rows [n, width] to the sums of their groups, in the rows' order: group (first + i) / repeats, counted
/// from that of row 0. Either `sums` [groups, width] or `wide_sums`, the same in double. Moves n·width +
/// 2·groups·width.
struct AddGroups {
  size_t n = 0, width = 0;
  size_t first = 0, repeats = 1;
  const float* from = nullptr;
  float* sums = nullptr;
  double* wide_sums = nullptr;
};

/// to = factor·from, from either floats (factor rounded to one, `to` may be `from`) or doubles. Moves
/// 2·count.
struct Scale {
  size_t count = 0;
  double factor = 1;
  const float* from = nullptr;
  const double* wide_from = nullptr;
  float* to = nullptr;
};

/// *first = the least of itself and the rows of values [n, width] in which something is not finite. Moves
/// n·width.
struct FindNotFinite {
  size_t n = 0, width = 0;
  const float* values = nullptr;
  uint32_t* first = nullptr;
};

/// Rows that are moved, added and looked at as they are.
class RowKernels {
 public:
  virtual ~RowKernels() = default;
  virtual void copy(const CopyRows& a) const = 0;
  virtual void add_groups(const AddGroups& a) const = 0;
  virtual void scale(const Scale& a) const = 0;
  virtual void not_finite(const FindNotFinite& a) const = 0;
};

}  // namespace tr0n
