#pragma once
#include <cstddef>

#include "base/cancel.h"
#include "base/rng.h"

namespace tr0n {

class Device;

/// What decides the random numbers of an energy that has some of its own (augmentation's): rows of the same
/// chain and step are evaluated by the same function of (z, c).
struct EnergyDraws {
  Philox rng;
  const Chain* chains;  ///< of the rows, in the host's memory
  uint32_t step;
};

/// E(z, c) per chain and ∂E/∂z, through f∘G. Rows are independent: the value of a row does not depend on the
/// other rows of the call, nor on how many there are. Implementations split the rows into blocks and run them
/// on the thread pool; a call may come from any thread, several at once.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual size_t latent_size() const = 0;     ///< d
  virtual size_t condition_size() const = 0;  ///< m
  virtual bool has_gradient() const = 0;
  /// In whose memory z, c, energies and gradients of energy() and evaluate() lie, and in the order of whose
  /// kernels a call works: after those called so far, before those called afterwards. It may return before it
  /// has finished. Null: the host's memory, and a call is finished when it returns.
  virtual Device* device() const { return nullptr; }

  /// energies [n] from z [n, d] and c [n, m], all row-major float32, in the memory of device().
  virtual void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                      CancelToken& cancel) = 0;

  /// As energy(), and gradients [n, d] = ∂E/∂z.
  virtual void evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                        float* gradients, CancelToken& cancel) = 0;
};

/// Any frozen map of rows: latents to images, to conditions, to features. Same independence of rows.
class RowMap {
 public:
  virtual ~RowMap() = default;
  virtual size_t input_size() const = 0;                ///< elements of an input row
  virtual size_t output_count() const = 0;              ///< outputs
  virtual size_t output_size(size_t output) const = 0;  ///< elements of a row of that output

  /// outputs[k] [n, output_size(k)] from rows [n, input_size].
  virtual void run(const float* rows, size_t n, float* const* outputs, CancelToken& cancel) = 0;
};

}  // namespace tr0n
