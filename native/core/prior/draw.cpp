#include "core/prior/draw.h"

#include <algorithm>
#include <functional>

#include "base/thread_pool.h"

namespace tr0n {

void draw_prior(const Prior& prior, uint64_t seed, uint32_t stream, uint32_t first, size_t n, Purpose purpose,
                float* z) {
  prior.check();
  const Philox rng(seed);
  constexpr size_t block = 256;
  const auto body = [&](size_t index) {
    for (size_t i = index * block; i < std::min(n, (index + 1) * block); ++i)
      prior.draw(rng, {stream, first + static_cast<uint32_t>(i)}, 0, purpose, z + i * prior.dim);
  };
  ThreadPool::instance().parallel_for((n + block - 1) / block, std::ref(body));
}

}  // namespace tr0n
