#pragma once
#include <algorithm>
#include <cstring>

#include "bridge/host_block.h"

namespace tr0n {

/// Some rows in aligned memory for `batch` of them: those that there are, and copies of the last.
class FilledBatch {
 public:
  FilledBatch(const float* rows, size_t count, size_t batch, size_t size) {
    const float* from = rows;
    if (count == batch && HostBlock::aligned(rows)) {
      data_ = rows;
      return;
    }
    block_ = HostBlock(batch * size * sizeof(float));
    float* const into = block_.floats();
    std::memcpy(into, from, count * size * sizeof(float));
    for (size_t row = count; row < batch; ++row)
      std::memcpy(into + row * size, into + (count - 1) * size, size * sizeof(float));
    data_ = into;
  }
  /// The same with zeros behind the rows.
  static FilledBatch with_zeros(const float* rows, size_t count, size_t batch, size_t size) {
    FilledBatch filled(rows, count, batch, size);
    if (count < batch)
      std::fill(filled.block_.floats() + count * size, filled.block_.floats() + batch * size, 0.0F);
    return filled;
  }
  const float* data() const { return data_; }

 private:
  HostBlock block_;
  const float* data_ = nullptr;
};

}  // namespace tr0n
