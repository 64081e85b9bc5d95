#pragma once
#include <optional>

#include "core/objective.h"
#include "device/crossing.h"

namespace tr0n {

/// Rows whose energies are asked for. `latents` and `device_conditions` lie in the caller's device's memory.
struct ObjectiveRows {
  const float* latents;               ///< [count, d]
  const uint32_t* device_conditions;  ///< [count], rows of the request's conditions
  const uint32_t* conditions;         ///< the same in the host's memory
  const Chain* chains;                ///< [count], in the host's memory
  size_t count;

  ObjectiveRows part(size_t begin, size_t size, size_t d) const {
    return {latents + begin * d, device_conditions + begin, conditions + begin, chains + begin, size};
  }
};

/// An objective with the conditions of one request, for a caller on `device`. The conditions lie where the
/// objective works, so that of a row only its latent, energy and gradient cross between the two, and nothing
/// where both are on one device.
class ConditionedObjective {
 public:
  /// conditions [count, m] in the host's memory, for as long as this lives.
  ConditionedObjective(Objective& objective, Device& device, const float* conditions, size_t count);

  /// energies [rows.count] and, unless null, gradients [rows.count, d] in the caller's device's memory.
  void evaluate(const ObjectiveRows& rows, const EnergyDraws& draws, float* energies, float* gradients,
                CancelToken& cancel);

 private:
  const float* expand(const ObjectiveRows& rows);

  Objective& objective_;
  Device& device_;
  Device& side_;                        ///< where the objective works
  const float* conditions_;             ///< there
  std::optional<Buffer<float>> table_;  ///< conditions_, where that is not the caller's
  std::optional<Buffer<float>> expanded_;
  Crossing<uint32_t> index_;  ///< from the host
  Crossing<float> latents_, energies_, gradients_;
};

}  // namespace tr0n
