#include "core/prior/latent_source.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "core/prior/draw.h"

namespace tr0n {
namespace {

/// Numbers that are drawn at a time: between two blocks the job can be cancelled, and only a block's base is
/// in memory.
constexpr size_t kBlockNumbers = size_t{1} << 20;

/// [rows, width] from column `begin` of [rows, from_width] to column 0, and the other way round.
void copy_columns(const float* from, size_t from_width, size_t rows, size_t width, float* to,
                  size_t to_width) {
  for_ranges(rows, width / 4 + 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) std::copy_n(from + i * from_width, width, to + i * to_width);
  });
}

void take_rows(const LatentGroup& group, const float* base, size_t base_width, size_t rows, float* z,
               size_t width) {
  for_ranges(rows, group.size / 4 + 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      // The uniform draw may round up to its end.
      const auto row = std::min(static_cast<size_t>(std::floor(base[i * base_width])), group.table_rows - 1);
      std::copy_n(group.table + row * group.size, group.size, z + i * width);
    }
  });
}

size_t total(const std::vector<LatentGroup>& groups) {
  size_t sum = 0;
  for (const LatentGroup& group : groups) sum += group.size;
  return sum;
}

}  // namespace

LatentSource::LatentSource(PriorValues base, std::vector<LatentGroup> groups)
    : base_(std::move(base)),
      groups_(std::move(groups)),
      size_(groups_.empty() ? base_.view().dim : total(groups_)) {}

void LatentSource::draw(uint64_t seed, const uint32_t* streams, size_t stream_count, uint32_t first,
                        size_t count, Purpose purpose, float* z, CancelToken& cancel) const {
  const Prior prior = base_.view();
  const size_t rows = stream_count * count;
  const size_t block = std::max<size_t>(1, kBlockNumbers / std::max(prior.dim, size_));
  std::vector<float> drawn(plain() ? 0 : std::min(block, rows) * prior.dim);
  for (size_t at = 0; at < rows; at += block) {
    cancel.throw_if_cancelled();
    const size_t n = std::min(block, rows - at);
    float* out = plain() ? z + at * size_ : drawn.data();
    for (size_t i = 0; i < n;) {
      const size_t stream = (at + i) / count, index = (at + i) % count, run = std::min(count - index, n - i);
      draw_prior(prior, seed, streams[stream], first + static_cast<uint32_t>(index), run, purpose,
                 out + i * prior.dim);
      i += run;
    }
    if (!plain()) place(drawn.data(), n, z + at * size_, cancel);
  }
}

void LatentSource::place(const float* base, size_t rows, float* z, CancelToken& cancel) const {
  const size_t width = base_.view().dim;
  size_t begin = 0, base_begin = 0;
  std::vector<float> own, mapped;
  for (const LatentGroup& group : groups_) {
    const float* from = base + base_begin;
    float* to = z + begin;
    if (group.map != nullptr) {
      own.resize(rows * group.base);
      mapped.resize(rows * group.size);
      copy_columns(from, width, rows, group.base, own.data(), group.base);
      float* output = mapped.data();
      group.map->run(own.data(), rows, &output, cancel);
      copy_columns(output, group.size, rows, group.size, to, size_);
    } else if (group.table != nullptr) {
      take_rows(group, from, width, rows, to, size_);
    } else if (group.size > 0) {
      copy_columns(from, width, rows, group.size, to, size_);
    }
    begin += group.size;
    base_begin += group.base;
  }
}

}  // namespace tr0n
