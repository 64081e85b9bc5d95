#pragma once
#include <cstddef>

namespace tr0n {

/// How m rows are divided into register tiles of at most `rows` rows. A rest of fewer than four rows, whose
/// few chains of additions would not fill the processor's pipelines, shares with the tile before it.
class Panels {
 public:
  Panels(size_t m, size_t rows) : m_(m), rows_(rows), count_((m + rows - 1) / rows) {
    const size_t rest = m % rows;
    if (m > rows && rest > 0 && rest < 4)
      last_ = (rows + rest) / 2;
    else
      last_ = rest > 0 ? rest : rows;
  }
  size_t count() const { return count_; }
  /// The first row of panel p; m for p = count().
  size_t start(size_t p) const {
    if (p >= count_) return m_;
    return p + 1 == count_ ? m_ - (m_ == 0 ? 0 : last_) : p * rows_;
  }

 private:
  size_t m_, rows_, count_, last_;
};

}  // namespace tr0n
