#include "bridge/pipeline_block.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "bridge/filled_batch.h"
#include "device/device.h"

namespace tr0n {

struct PipelineBlock::Kept final : BlockModel::State {
  SegmentChain::Cotangents cotangents;
};

PipelineBlock::PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments)
    : chain_(std::move(name), std::move(segments)), outputs_{"output"} {
  const std::vector<int64_t>& row = chain_.input_shape();
  inputs_.push_back({"z", row, element_count(row)});
  place_ = in_memory(chain_.place());
}

PipelineBlock::PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments,
                             PipelineHead head)
    : PipelineBlock(std::move(name), std::move(segments)) {
  head_ = std::move(head);
  inputs_.push_back({"c", head_.condition_shape, element_count(head_.condition_shape)});
  outputs_ = {"energy"};
  place_ = SegmentChain::between(place_, in_memory(head_place()));
  if (!records()) return;
  outputs_.emplace_back("gradient");
  chain_.require_gradients();
}

PlacedTensor PipelineBlock::over(const float* data, size_t rows, const std::vector<int64_t>& row) const {
  PlacedTensor tensor = PlacedTensor::over(data, {}, place_);
  batch_shape(rows, row, tensor.shape);
  return tensor;
}

SegmentChain::Passes PipelineBlock::forward(const float* z, size_t rows, const CancellableRun& run,
                                            const CancelToken& cancel) const {
  const PlacedTensor input = over(z, rows, inputs_[0].shape);
  if (!head_.session) return chain_.forward(input, rows, false, place_, nullptr, run, cancel);
  return chain_.forward(input, rows, records(), head_place(), &head_.input_shape, run, cancel);
}

size_t PipelineBlock::model_bytes() const {
  return chain_.model_bytes() + (head_.session ? head_.session->model_bytes() : 0);
}

std::unique_ptr<BlockModel::State> PipelineBlock::make_state() const { return std::make_unique<Kept>(); }

std::vector<std::vector<int64_t>> PipelineBlock::output_shapes(const float* const* inputs, size_t rows,
                                                               CancelToken& cancel) const {
  const auto batch = static_cast<int64_t>(rows);
  const CancellableRun run(cancel);
  const SegmentChain::Passes passes = forward(inputs[0], rows, run, cancel);
  if (!head_.session) return {passes.back()->output().shape};
  if (!records()) return {{batch}};
  std::vector<int64_t> latent;
  return {{batch}, batch_shape(rows, inputs_[0].shape, latent)};
}

void PipelineBlock::run_head(const PlacedTensor& x, const float* condition, size_t rows, float* energies,
                             PlacedTensor* gradient, const CancellableRun& run,
                             const CancelToken& cancel) const {
  if (head_.fixed_batch > 0 && head_.fixed_batch != rows)
    return run_head_in_batches(x, condition, rows, energies, gradient, run, cancel);
  const PlacedTensor c = over(condition, rows, head_.condition_shape);
  PlacedTensor energy = over(energies, rows, {});
  const Session::Feed feeds[] = {{head_.input.c_str(), &x}, {head_.condition.c_str(), &c}};
  const Session::Fetch fetches[] = {{head_.energy.c_str(), &energy}, {head_.gradient.c_str(), gradient}};
  head_.session->run_placed(run, feeds, 2, fetches, gradient != nullptr ? 2 : 1, cancel);
}

void PipelineBlock::run_head_in_batches(const PlacedTensor& x, const float* condition, size_t rows,
                                        float* energies, PlacedTensor* gradient, const CancellableRun& run,
                                        const CancelToken& cancel) const {
  const size_t batch = head_.fixed_batch;
  const size_t size = element_count(head_.input_shape), width = element_count(head_.condition_shape);
  HostBlock energy_block(batch * sizeof(float)), gradient_block(batch * size * sizeof(float));
  for (size_t first = 0; first < rows; first += batch) {
    const size_t count = std::min(batch, rows - first);
    const FilledBatch taken(x.data + first * size, count, batch, size);
    const FilledBatch wanted(condition + first * width, count, batch, width);
    PlacedTensor part = over(taken.data(), batch, head_.input_shape);
    PlacedTensor slope = over(gradient_block.floats(), batch, head_.input_shape);
    run_head(part, wanted.data(), batch, energy_block.floats(), gradient != nullptr ? &slope : nullptr, run,
             cancel);
    std::memcpy(energies + first, energy_block.data(), count * sizeof(float));
    if (gradient != nullptr)
      std::memcpy(gradient->data + first * size, slope.data, count * size * sizeof(float));
  }
}

void PipelineBlock::run(const float* const* inputs, size_t rows, const std::vector<RowOutput>& shapes,
                        float* const* outputs, State& state, const CancellableRun& run,
                        const CancelToken& cancel) const {
  SegmentChain::Passes passes = forward(inputs[0], rows, run, cancel);
  const PlacedTensor& x = passes.back()->output();
  if (!head_.session) {
    std::vector<int64_t> expected;
    if (x.shape != batch_shape(rows, shapes[0].shape, expected))
      throw Error("ERR_SHAPE_MISMATCH", name() + ": expected an output " + shape_text(expected) +
                                            " as before, got " + shape_text(x.shape));
    const size_t bytes = rows * shapes[0].size * sizeof(float);
    if (place_.is_host())
      std::memcpy(outputs[0], x.data, bytes);
    else
      place_.device->copy(outputs[0], x.data, bytes);
    return;
  }
  if (!records()) return run_head(x, inputs[1], rows, outputs[0], nullptr, run, cancel);

  SegmentChain::Cotangents& cotangents = static_cast<Kept&>(state).cotangents;
  const Place between = SegmentChain::between(chain_.last_place(), head_place());
  PlacedTensor& cotangent = cotangents.tensor(chain_.size(), rows, head_.input_shape, between);
  run_head(x, inputs[1], rows, outputs[0], &cotangent, run, cancel);
  PlacedTensor gradient = over(outputs[1], rows, inputs_[0].shape);
  chain_.backward(std::move(passes), cotangent, rows, gradient, cotangents, run, cancel);
}

}  // namespace tr0n
