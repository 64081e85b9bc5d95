#include "bridge/pipeline_block.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace tr0n {

using ort::ElementType;

struct PipelineBlock::Kept final : BlockModel::State {
  SegmentChain::Cotangents cotangents;
};

PipelineBlock::PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments)
    : chain_(std::move(name), std::move(segments)), outputs_{"output"} {
  const std::vector<int64_t>& row = chain_.input_shape();
  inputs_.push_back({"z", row, element_count(row)});
}

PipelineBlock::PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments,
                             PipelineHead head)
    : PipelineBlock(std::move(name), std::move(segments)) {
  head_ = std::move(head);
  inputs_.push_back({"c", head_.condition_shape, element_count(head_.condition_shape)});
  outputs_ = {"energy"};
  if (!records()) return;
  outputs_.emplace_back("gradient");
  chain_.require_gradients();
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
  if (!head_.session) return {passes.back()->shape()};
  if (!records()) return {{batch}};
  std::vector<int64_t> latent;
  return {{batch}, batch_shape(rows, inputs_[0].shape, latent)};
}

void PipelineBlock::run_head(const float* x, const float* condition, size_t rows, float* energies,
                             float* gradient, const CancellableRun& run, const CancelToken& cancel) const {
  std::vector<int64_t> shape;
  const auto value = [&](const float* data, const std::vector<int64_t>& row) {
    batch_shape(rows, row, shape);
    return make_value(const_cast<float*>(data), element_count(shape) * sizeof(float), shape.data(),
                      shape.size(), ElementType::float32);
  };
  const ort::ValueHandle values[] = {value(x, head_.input_shape), value(condition, head_.condition_shape),
                                     value(energies, {})};
  const ort::Value* const inputs[] = {values[0].get(), values[1].get()};
  const char* const input_names[] = {head_.input.c_str(), head_.condition.c_str()};
  const char* const output_names[] = {head_.energy.c_str(), head_.gradient.c_str()};
  const ort::ValueHandle into = gradient ? value(gradient, head_.input_shape) : nullptr;
  ort::Value* outputs[] = {values[2].get(), into.get()};
  head_.session->run_raw(run.options(), input_names, inputs, 2, output_names, gradient ? 2 : 1, outputs,
                         cancel);
}

void PipelineBlock::run(const float* const* inputs, size_t rows, const std::vector<RowOutput>& shapes,
                        float* const* outputs, State& state, const CancellableRun& run,
                        const CancelToken& cancel) const {
  SegmentChain::Passes passes = forward(inputs[0], rows, run, cancel);
  if (!head_.session) {
    std::vector<int64_t> expected;
    if (passes.back()->shape() != batch_shape(rows, shapes[0].shape, expected))
      throw Error("ERR_SHAPE_MISMATCH", name() + ": expected an output " + shape_text(expected) +
                                            " as before, got " + shape_text(passes.back()->shape()));
    std::memcpy(outputs[0], passes.back()->output(), rows * shapes[0].size * sizeof(float));
    return;
  }
  const float* x = passes.back()->output();
  if (!records()) return run_head(x, inputs[1], rows, outputs[0], nullptr, run, cancel);

  SegmentChain::Cotangents& cotangents = static_cast<Kept&>(state).cotangents;
  float* cotangent = cotangents.buffer(chain_.size(), rows, head_.input_shape);
  run_head(x, inputs[1], rows, outputs[0], cotangent, run, cancel);
  chain_.backward(std::move(passes), cotangent, rows, outputs[1], cotangents, run, cancel);
}

}  // namespace tr0n
