#pragma once
#include <memory>
#include <vector>

#include "core/sampling/run.h"

namespace tr0n {

/// Dimensions begin … begin + size − 1 of every chain, dense in the device's memory, with their update rule
/// and its state: what langevin and hybrid move.
class SamplerGroup {
 public:
  /// `points` numbers move for each dimension: 1, or the components' means. `noise_block` is where
  /// their random numbers begin.
  SamplerGroup(SamplerRun& run, const UpdateGroup& update, size_t begin, size_t points, uint32_t noise_block);

  size_t begin() const { return begin_; }
  size_t size() const { return size_; }
  const UpdateGroup& update() const { return update_; }
  float* latents() { return z_.data(); }                  ///< [n, size]
  const float* gradients() { return gradients_.data(); }  ///< [n, size], the target's

  void take_latents();  ///< out of the run's
  void give_latents();  ///< into the run's
  /// This group's columns of ∂E/∂z [n, d], turned into the target's gradient at latents().
  void take_gradients(const float* rows);
  /// Step t (from 1) of one point a dimension, by ∂E/∂z [n, d].
  void move_latents(size_t t, const float* rows) {
    take_gradients(rows);
    move(t, gradients(), latents());
    give_latents();
  }
  /// Step t (from 1) of the rule: x [n, points·size] by its gradients, overwritten or not.
  void move(size_t t, const float* gradients, float* x);

 private:
  SamplerRun& run_;
  const UpdateGroup update_;
  const size_t begin_, size_, moved_;  ///< moved_: numbers of a chain that move
  const uint32_t noise_block_;
  const DevicePrior prior_;
  Buffer<float> z_, gradients_, momenta_, second_moments_, scratch_;
};

/// Whether a group is one point a chain in any case: an auxiliary head's y, and what is kept.
bool is_point(const SamplerRun& run, size_t begin, const UpdateGroup& update);
/// The groups of run.config, one behind the other.
std::vector<std::unique_ptr<SamplerGroup>> make_groups(SamplerRun& run, size_t points);

}  // namespace tr0n
