#include "bridge/pullback_block.h"

#include "bridge/host_block.h"
#include "bridge/session.h"
#include "core/error.h"

namespace tr0n {

/// Cotangents between models: one buffer for what comes in, one for what goes out.
struct PullbackBlock::Kept final : BlockModel::State {
  HostBlock cotangents[2];
};

PullbackBlock::PullbackBlock(std::vector<std::shared_ptr<const Segment>> segments,
                             const std::vector<int64_t>& output_shape)
    : segments_(std::move(segments)) {
  if (segments_.empty()) throw Error("ERR_INVALID_ARGUMENT", "pullback: expected at least one model");
  for (const auto& segment : segments_)
    if (!segment->has_gradient())
      throw Error("ERR_INVALID_ARGUMENT", segment->name() + ": expected a model with a gradient");
  const std::vector<int64_t>& row = segments_[0]->input_shape();
  inputs_.push_back({"z", row, element_count(row)});
  inputs_.push_back({"cotangent", output_shape, element_count(output_shape)});
}

size_t PullbackBlock::model_bytes() const {
  size_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->model_bytes();
  return bytes;
}

std::unique_ptr<BlockModel::State> PullbackBlock::make_state() const { return std::make_unique<Kept>(); }

std::vector<std::vector<int64_t>> PullbackBlock::output_shapes(const float* const*, size_t rows,
                                                               CancelToken&) const {
  std::vector<int64_t> shape;
  return {batch_shape(rows, inputs_[0].shape, shape)};
}

void PullbackBlock::run(const float* const* inputs, size_t rows, const std::vector<RowOutput>&,
                        float* const* outputs, State& state, const CancellableRun& run,
                        const CancelToken& cancel) const {
  std::vector<std::unique_ptr<Segment::Pass>> passes;
  const float* x = inputs[0];
  std::vector<int64_t> expected;
  for (size_t i = 0; i < segments_.size(); ++i) {
    passes.push_back(segments_[i]->forward(x, rows, true, run, cancel));
    const bool last = i + 1 == segments_.size();
    const std::vector<int64_t>& row = last ? inputs_[1].shape : segments_[i + 1]->input_shape();
    if (passes.back()->shape() != batch_shape(rows, row, expected))
      throw Error("ERR_SHAPE_MISMATCH", segments_[i]->name() + ": expected an output " +
                                            shape_text(expected) + ", got " +
                                            shape_text(passes.back()->shape()));
    x = passes.back()->output();
  }
  auto& kept = static_cast<Kept&>(state);
  const float* cotangent = inputs[1];
  for (size_t i = segments_.size(); i-- > 0;) {
    float* gradient = outputs[0];
    if (i > 0) {
      const size_t bytes = rows * element_count(segments_[i]->input_shape()) * sizeof(float);
      HostBlock& block = kept.cotangents[i % 2];
      if (block.bytes() < bytes || !block.data()) block = HostBlock(bytes);
      gradient = block.floats();
    }
    passes[i]->backward(cotangent, gradient, run, cancel);
    passes.pop_back();  // its activations are not needed any more
    cotangent = gradient;
  }
}

}  // namespace tr0n
