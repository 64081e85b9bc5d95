#include "bridge/pullback_block.h"

#include "bridge/session.h"
#include "core/error.h"

namespace tr0n {

PullbackBlock::PullbackBlock(std::shared_ptr<const Segment> segment, const std::vector<int64_t>& output_shape)
    : segment_(std::move(segment)) {
  if (!segment_->has_gradient())
    throw Error("ERR_INVALID_ARGUMENT", segment_->name() + ": expected a model with a gradient");
  const std::vector<int64_t>& row = segment_->input_shape();
  inputs_.push_back({"z", row, element_count(row)});
  inputs_.push_back({"cotangent", output_shape, element_count(output_shape)});
}

std::vector<std::vector<int64_t>> PullbackBlock::output_shapes(const float* const*, size_t rows,
                                                               CancelToken&) const {
  std::vector<int64_t> shape;
  return {batch_shape(rows, inputs_[0].shape, shape)};
}

void PullbackBlock::run(const float* const* inputs, size_t rows, const std::vector<RowOutput>&,
                        float* const* outputs, State&, const CancellableRun& run,
                        const CancelToken& cancel) const {
  const auto pass = segment_->forward(inputs[0], rows, true, run, cancel);
  std::vector<int64_t> expected;
  if (pass->shape() != batch_shape(rows, inputs_[1].shape, expected))
    throw Error("ERR_SHAPE_MISMATCH", name() + ": expected an output " + shape_text(expected) + ", got " +
                                          shape_text(pass->shape()));
  pass->backward(inputs[1], outputs[0], run, cancel);
}

}  // namespace tr0n
