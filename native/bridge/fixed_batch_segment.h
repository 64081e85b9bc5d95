#pragma once
#include <memory>

#include "bridge/segment.h"

namespace tr0n {

/// A model that takes one number of rows, for any: rows go through it in batches, the last one filled up with
/// copies of its last row, whose results nobody sees and whose cotangents are zero. Values lie with the host.
class FixedBatchSegment final : public Segment {
 public:
  FixedBatchSegment(std::shared_ptr<const Segment> model, size_t batch)
      : model_(std::move(model)), batch_(batch) {}

  const std::string& name() const override { return model_->name(); }
  size_t model_bytes() const override { return model_->model_bytes(); }
  RowCost counted() const override { return model_->counted(); }
  bool on_device() const override { return model_->on_device(); }
  const std::vector<int64_t>& input_shape() const override { return model_->input_shape(); }
  bool has_gradient() const override { return model_->has_gradient(); }
  std::unique_ptr<Pass> forward(const PlacedTensor& input, size_t rows, bool record, const Place& out,
                                const CancellableRun& run, const CancelToken& cancel) const override;

 private:
  class Batches;
  std::shared_ptr<const Segment> model_;
  size_t batch_;
};

}  // namespace tr0n
