#include "bridge/segment_chain.h"

#include <algorithm>

#include "base/error.h"
#include "bridge/block_model.h"
#include "bridge/session.h"

namespace tr0n {

float* SegmentChain::Cotangents::buffer(size_t before, size_t rows, const std::vector<int64_t>& row) {
  const size_t bytes = rows * element_count(row) * sizeof(float);
  HostBlock& block = blocks_[before % 2];
  if (block.bytes() < bytes || !block.data()) block = HostBlock(bytes);
  return block.floats();
}

SegmentChain::SegmentChain(std::string name, std::vector<std::shared_ptr<const Segment>> segments)
    : name_(std::move(name)), segments_(std::move(segments)) {
  if (segments_.empty()) throw Error("ERR_INVALID_ARGUMENT", name_ + ": expected at least one model");
}

size_t SegmentChain::model_bytes() const {
  size_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->model_bytes();
  return bytes;
}

RowCost SegmentChain::counted() const {
  RowCost cost;
  for (const auto& segment : segments_) cost += segment->counted();
  return cost;
}

bool SegmentChain::on_device() const {
  return std::any_of(segments_.begin(), segments_.end(),
                     [](const auto& segment) { return segment->on_device(); });
}

void SegmentChain::require_gradients() const {
  for (const auto& segment : segments_)
    if (!segment->has_gradient())
      throw Error("ERR_INVALID_ARGUMENT", segment->name() + ": expected a model with a gradient");
}

SegmentChain::Passes SegmentChain::forward(const float* x, size_t rows, bool record,
                                           const std::vector<int64_t>* output_row, const CancellableRun& run,
                                           const CancelToken& cancel) const {
  Passes passes;
  std::vector<int64_t> expected;
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
    passes.push_back(segments_[i]->forward(x, rows, record, run, cancel));
    x = passes.back()->output();
    const bool last = i + 1 == segments_.size();
    const std::vector<int64_t>* row = last ? output_row : &segments_[i + 1]->input_shape();
    if (row != nullptr && passes.back()->shape() != batch_shape(rows, *row, expected))
      throw Error("ERR_SHAPE_MISMATCH", segments_[i]->name() + ": expected an output " +
                                            shape_text(expected) + ", got " +
                                            shape_text(passes.back()->shape()));
  }
  return passes;
}

void SegmentChain::backward(Passes passes, const float* cotangent, size_t rows, float* gradient,
                            Cotangents& cotangents, const CancellableRun& run,
                            const CancelToken& cancel) const {
  for (size_t i = segments_.size(); i-- > 0;) {
    if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
    float* out = i == 0 ? gradient : cotangents.buffer(i, rows, segments_[i]->input_shape());
    passes[i]->backward(cotangent, out, run, cancel);
    passes.pop_back();  // its activations are not needed any more
    cotangent = out;
  }
}

}  // namespace tr0n
