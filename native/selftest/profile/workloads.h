#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "device/device.h"

namespace tr0n::selftest {

/// Calls whose cost is counted as one thing.
struct Workload {
  std::string name;
  size_t rows = 0;  ///< pairs of a batch, or chains
  Precision precision = Precision::fp32;
  size_t parameters = 0;  ///< that a training step updates
  /// Makes inputs, then calls `measured` with what is to be counted.
  std::function<void(Device& device, const std::function<void(const std::function<void()>&)>& measured)> run;
};

/// The official translator: conditions of 512, d = 128, K = 10, y of 128, and a hidden width of 2048 unless a
/// test wants less.
struct Sizes {
  size_t condition = 512, hidden = 2048, components = 10, latent = 128, auxiliary = 128;
};

/// One whole step of Trainer: noise on the conditions, forward, loss, backward, clipping and Adam.
Workload training_step(const Sizes& sizes, size_t batch, Precision precision);

/// One update of every sampler, and what happens once in a run, for `chains` latents of d.
std::vector<Workload> sampler_updates(const Sizes& sizes, size_t chains);

}  // namespace tr0n::selftest
