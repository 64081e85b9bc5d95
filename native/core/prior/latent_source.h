#pragma once
#include <vector>

#include "base/cancel.h"
#include "core/objective.h"
#include "core/prior/prior_elements.h"

namespace tr0n {

/// A part of a latent, and what it is made of: the next `base` numbers of the draw become its `size` numbers.
struct LatentGroup {
  size_t base = 0;
  size_t size = 0;               ///< 0: those numbers are drawn and left out
  const float* table = nullptr;  ///< [table_rows, size]: the row that one number in [0, table_rows] points to
  size_t table_rows = 0;
  RowMap* map = nullptr;  ///< prepared, of one output [size]; neither: the numbers themselves
};

/// A prior as it is drawn: a factorised one, whose numbers become a latent group by group.
class LatentSource {
 public:
  /// Without groups the draw is the latent. What groups point to outlives the source.
  LatentSource(PriorValues base, std::vector<LatentGroup> groups);

  /// Numbers of a latent.
  size_t size() const { return size_; }
  const PriorValues& base() const { return base_; }
  /// Whether draws are those of the base.
  bool plain() const { return groups_.empty(); }

  /// Latents [streams · count, size] of the chains (streams[b], first … first + count − 1), each a function
  /// of the seed and its chain alone.
  void draw(uint64_t seed, const uint32_t* streams, size_t stream_count, uint32_t first, size_t count,
            Purpose purpose, float* z, CancelToken& cancel) const;

 private:
  void place(const float* base, size_t rows, float* z, CancelToken& cancel) const;

  PriorValues base_;
  std::vector<LatentGroup> groups_;
  size_t size_;
};

}  // namespace tr0n
