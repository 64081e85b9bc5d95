#include "bridge/pipeline_block.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace tr0n {

using ort::ElementType;

/// Cotangents on their way back: one buffer for what comes in, one for what goes out.
struct PipelineBlock::Kept final : BlockModel::State {
  HostBlock cotangents[2];
};

PipelineBlock::PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments)
    : name_(std::move(name)), segments_(std::move(segments)), outputs_{"output"} {
  if (segments_.empty()) throw Error("ERR_INVALID_ARGUMENT", name_ + ": expected at least one model");
  const std::vector<int64_t>& row = segments_[0]->input_shape();
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
  for (const auto& segment : segments_)
    if (!segment->has_gradient())
      throw Error("ERR_INVALID_ARGUMENT", segment->name() + ": expected a model with a gradient");
}

size_t PipelineBlock::model_bytes() const {
  size_t bytes = head_.session ? head_.session->model_bytes() : 0;
  for (const auto& segment : segments_) bytes += segment->model_bytes();
  return bytes;
}

std::unique_ptr<BlockModel::State> PipelineBlock::make_state() const { return std::make_unique<Kept>(); }

std::vector<std::vector<int64_t>> PipelineBlock::output_shapes(const float* const* inputs, size_t rows,
                                                               CancelToken& cancel) const {
  const auto batch = static_cast<int64_t>(rows);
  const CancellableRun run(cancel);
  const Passes passes = forward(inputs[0], rows, records(), run, cancel);
  if (!head_.session) return {passes.back()->shape()};
  if (!records()) return {{batch}};
  std::vector<int64_t> latent;
  return {{batch}, batch_shape(rows, inputs_[0].shape, latent)};
}

PipelineBlock::Passes PipelineBlock::forward(const float* rows_data, size_t rows, bool record,
                                             const CancellableRun& run, const CancelToken& cancel) const {
  Passes passes;
  std::vector<int64_t> expected;
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
    passes.push_back(segments_[i]->forward(rows_data, rows, record, run, cancel));
    rows_data = passes.back()->output();
    const bool last = i + 1 == segments_.size();
    if (last && !head_.session) continue;
    const std::vector<int64_t>& row = last ? head_.input_shape : segments_[i + 1]->input_shape();
    if (passes.back()->shape() != batch_shape(rows, row, expected))
      throw Error("ERR_SHAPE_MISMATCH", segments_[i]->name() + ": expected an output " +
                                            shape_text(expected) + ", got " +
                                            shape_text(passes.back()->shape()));
  }
  return passes;
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
  Passes passes = forward(inputs[0], rows, records(), run, cancel);
  if (!head_.session) {
    std::vector<int64_t> expected;
    if (passes.back()->shape() != batch_shape(rows, shapes[0].shape, expected))
      throw Error("ERR_SHAPE_MISMATCH", segments_.back()->name() + ": expected an output " +
                                            shape_text(expected) + " as before, got " +
                                            shape_text(passes.back()->shape()));
    std::memcpy(outputs[0], passes.back()->output(), rows * shapes[0].size * sizeof(float));
    return;
  }
  const float* x = passes.back()->output();
  if (!records()) return run_head(x, inputs[1], rows, outputs[0], nullptr, run, cancel);

  auto& kept = static_cast<Kept&>(state);
  const auto buffer = [&](size_t which, const std::vector<int64_t>& row) {
    const size_t bytes = rows * element_count(row) * sizeof(float);
    HostBlock& block = kept.cotangents[which % 2];
    if (block.bytes() < bytes || !block.data()) block = HostBlock(bytes);
    return block.floats();
  };
  float* cotangent = buffer(segments_.size(), head_.input_shape);
  run_head(x, inputs[1], rows, outputs[0], cotangent, run, cancel);
  for (size_t i = segments_.size(); i-- > 0;) {
    if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
    float* gradient = i == 0 ? outputs[1] : buffer(i, segments_[i]->input_shape());
    passes[i]->backward(cotangent, gradient, run, cancel);
    passes.pop_back();  // its activations are not needed any more
    cotangent = gradient;
  }
}

}  // namespace tr0n
