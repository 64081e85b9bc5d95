#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "bridge/placed_tensor.h"
#include "bridge/row_cost.h"

namespace tr0n {

class CancellableRun;

/// One model of a pipeline: rows in, rows out, and cotangents of the rows back. Several passes may be under
/// way at once, each on the thread that made it.
class Segment {
 public:
  /// One run on a block of rows; its values live as long as it does.
  class Pass {
   public:
    virtual ~Pass() = default;
    /// [rows, …], float32, dense.
    virtual const PlacedTensor& output() const = 0;
    /// gradient [rows, input] = Jᵀ·cotangent. Only of a recorded pass, and once. Both lie in the host's
    /// memory or in the segment's place. The gradient has its shape and is written to its data; one without
    /// any, in a runtime's place, gets a value.
    virtual void backward(const PlacedTensor& cotangent, PlacedTensor& gradient, const CancellableRun& run,
                          const CancelToken& cancel) = 0;
  };

  virtual ~Segment() = default;
  virtual const std::string& name() const = 0;
  /// What the weights take at least.
  virtual size_t model_bytes() const = 0;
  /// As BlockModel::counted().
  virtual RowCost counted() const { return {}; }
  /// As BlockModel::on_device().
  virtual bool on_device() const { return false; }
  /// Shape of an input row.
  virtual const std::vector<int64_t>& input_shape() const = 0;
  virtual bool has_gradient() const = 0;
  /// Where it takes and leaves values without copying them. It takes and leaves them in the host's memory,
  /// too.
  virtual Place place() const { return {}; }
  /// `input` [rows, …] must stay as it is until the pass is gone. `record` keeps what backward() needs. The
  /// output is left at `out`: the host's memory or place().
  virtual std::unique_ptr<Pass> forward(const PlacedTensor& input, size_t rows, bool record, const Place& out,
                                        const CancellableRun& run, const CancelToken& cancel) const = 0;
};

}  // namespace tr0n
