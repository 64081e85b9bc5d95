#include "core/training/batches.h"

#include <algorithm>
#include <numeric>

namespace tr0n {

Batches::Batches(const Translator& translator, const TrainerConfig& config, const float* z, const float* c,
                 const float* y, size_t n)
    : n_(n),
      batch_(std::min(config.batch, n)),
      d_(translator.config().latent),
      m_(translator.config().condition),
      auxiliary_(translator.config().auxiliary),
      all_z_(z),
      all_c_(c),
      all_y_(y),
      rng_(config.seed),
      conditions_(translator.device(), config, batch_, m_),
      order_(n),
      shuffled_epoch_(~uint64_t{0}),
      z_(translator.device(), batch_ * d_),
      c_(translator.device(), batch_ * m_),
      y_(translator.device(), batch_ * auxiliary_),
      chains_(translator.device(), batch_),
      given_(config.loss == Loss::relaxed ? batch_ * m_ : 0) {}

/// Fisher–Yates. A range is scaled to by multiplication: its bias, below n / 2^32, does not matter for an
/// order.
void Batches::shuffle(uint64_t epoch) {
  std::iota(order_.begin(), order_.end(), 0u);
  std::array<uint32_t, 4> words{};
  for (size_t i = n_; i-- > 1;) {
    const size_t draw = n_ - 1 - i;
    if (draw % 4 == 0)
      words =
          rng_.bits({0, 0}, static_cast<uint32_t>(epoch), Purpose::shuffle, static_cast<uint32_t>(draw / 4));
    const uint64_t other = (static_cast<uint64_t>(words[draw % 4]) * (i + 1)) >> 32;
    std::swap(order_[i], order_[other]);
  }
  shuffled_epoch_ = epoch;
}

size_t Batches::load(uint64_t step) {
  const uint64_t epoch = step / per_epoch();
  if (epoch != shuffled_epoch_) shuffle(epoch);
  const size_t begin = static_cast<size_t>(step % per_epoch()) * batch_, count = std::min(batch_, n_ - begin);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t pair = order_[begin + i];
    std::copy_n(all_z_ + pair * d_, d_, z_.host() + i * d_);
    std::copy_n(all_c_ + pair * m_, m_, c_.host() + i * m_);
    if (auxiliary_ > 0) std::copy_n(all_y_ + pair * auxiliary_, auxiliary_, y_.host() + i * auxiliary_);
    chains_.host()[i] = {0, pair};
    if (!given_.empty()) std::copy_n(all_c_ + pair * m_, m_, given_.data() + i * m_);
  }
  z_.push(count * d_);
  c_.push(count * m_);
  y_.push(count * auxiliary_);
  chains_.push(count);
  return count;
}

}  // namespace tr0n
