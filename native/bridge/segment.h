#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
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
    virtual const float* output() const = 0;
    virtual const std::vector<int64_t>& shape() const = 0;
    /// gradient [rows, input] = Jᵀ·cotangent. Only of a recorded pass, and once.
    virtual void backward(const float* cotangent, float* gradient, const CancellableRun& run,
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
  /// `input` [rows, …] must stay as it is until the pass is gone. `record` keeps what backward() needs.
  virtual std::unique_ptr<Pass> forward(const float* input, size_t rows, bool record,
                                        const CancellableRun& run, const CancelToken& cancel) const = 0;
};

}  // namespace tr0n
