#pragma once
#include <algorithm>
#include <cstddef>

namespace tr0n {

/// Where the auxiliary head's y lies in a latent: y is its dimensions begin … begin + size − 1, and z, which
/// the mixture covers, the others in their order. Without an auxiliary head (size 0) all of it is z.
struct AuxiliaryPlace {
  size_t begin = 0, size = 0;

  /// Whether `count` dimensions from `first` on are y's, some of them or all.
  bool holds(size_t first, size_t count) const {
    return size > 0 && first >= begin && first + count <= begin + size;
  }
  /// Whether they are y's and z's, too.
  bool cuts(size_t first, size_t count) const {
    return size > 0 && first < begin + size && first + count > begin && !holds(first, count);
  }

  /// latent [d] from z [d − size] and y [size].
  void join(const float* z, const float* y, size_t d, float* latent) const {
    std::copy_n(z, begin, latent);
    std::copy_n(y, size, latent + begin);
    std::copy_n(z + begin, d - begin - size, latent + begin + size);
  }
  /// The other way; z or y may be null.
  void split(const float* latent, size_t d, float* z, float* y) const {
    if (z != nullptr) {
      std::copy_n(latent, begin, z);
      std::copy_n(latent + begin + size, d - begin - size, z + begin);
    }
    if (y != nullptr) std::copy_n(latent + begin, size, y);
  }
};

}  // namespace tr0n
