#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/host_block.h"
#include "bridge/segment.h"

namespace tr0n {

/// Models of any format one behind the other: their passes there and back over one block of rows.
class SegmentChain {
 public:
  using Passes = std::vector<std::unique_ptr<Segment::Pass>>;

  /// Cotangents on their way back: one buffer for what comes in, one for what goes out.
  class Cotangents {
   public:
    /// [rows, row…] behind segment `before` − 1, before segment `before`; kept from block to block.
    float* buffer(size_t before, size_t rows, const std::vector<int64_t>& row);

   private:
    HostBlock blocks_[2];
  };

  /// Throws ERR_INVALID_ARGUMENT without segments.
  SegmentChain(std::string name, std::vector<std::shared_ptr<const Segment>> segments);

  const std::string& name() const { return name_; }
  size_t size() const { return segments_.size(); }
  const std::vector<int64_t>& input_shape() const { return segments_.front()->input_shape(); }  ///< of a row
  size_t model_bytes() const;
  RowCost counted() const;
  bool on_device() const;
  /// Throws ERR_INVALID_ARGUMENT where a segment has no gradient.
  void require_gradients() const;

  /// Runs all segments. Throws ERR_SHAPE_MISMATCH where an output has not the rows that come next, which are
  /// `output_row` behind the last one (null: anything); ERR_ABORTED.
  Passes forward(const float* x, size_t rows, bool record, const std::vector<int64_t>* output_row,
                 const CancellableRun& run, const CancelToken& cancel) const;

  /// gradient [rows, input_shape()] = Jᵀ·cotangent of the output. Throws ERR_ABORTED.
  void backward(Passes passes, const float* cotangent, size_t rows, float* gradient, Cotangents& cotangents,
                const CancellableRun& run, const CancelToken& cancel) const;

 private:
  std::string name_;
  std::vector<std::shared_ptr<const Segment>> segments_;
};

}  // namespace tr0n
