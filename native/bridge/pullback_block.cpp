#include "bridge/pullback_block.h"

#include "bridge/session.h"

namespace tr0n {
namespace {

SegmentChain chain_of(std::vector<std::shared_ptr<const Segment>> segments) {
  std::string name = segments.empty() ? "pullback" : segments.back()->name();
  return {std::move(name), std::move(segments)};
}

}  // namespace

struct PullbackBlock::Kept final : BlockModel::State {
  SegmentChain::Cotangents cotangents;
};

PullbackBlock::PullbackBlock(std::vector<std::shared_ptr<const Segment>> segments,
                             const std::vector<int64_t>& output_shape)
    : chain_(chain_of(std::move(segments))) {
  chain_.require_gradients();
  const std::vector<int64_t>& row = chain_.input_shape();
  inputs_.push_back({"z", row, element_count(row)});
  inputs_.push_back({"cotangent", output_shape, element_count(output_shape)});
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
  const auto over = [&, where = place()](const float* data, const RowInput& row) {
    PlacedTensor tensor = PlacedTensor::over(data, {}, where);
    batch_shape(rows, row.shape, tensor.shape);
    return tensor;
  };
  const PlacedTensor z = over(inputs[0], inputs_[0]), cotangent = over(inputs[1], inputs_[1]);
  PlacedTensor gradient = over(outputs[0], inputs_[0]);
  chain_.backward(chain_.forward(z, rows, true, z.place, &inputs_[1].shape, run, cancel), cotangent, rows,
                  gradient, static_cast<Kept&>(state).cotangents, run, cancel);
}

}  // namespace tr0n
