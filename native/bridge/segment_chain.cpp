#include "bridge/segment_chain.h"

#include <algorithm>

#include "base/error.h"
#include "bridge/block_model.h"
#include "bridge/session.h"

namespace tr0n {

PlacedTensor& SegmentChain::Cotangents::tensor(size_t before, size_t rows, const std::vector<int64_t>& row,
                                               const Place& place) {
  PlacedTensor& tensor = tensors_[before % 2];
  batch_shape(rows, row, tensor.shape);
  tensor.place = place;
  tensor.data = buffers_[before % 2].reserve(place, element_count(tensor.shape));
  tensor.value = nullptr;
  tensor.owner.reset();
  return tensor;
}

SegmentChain::SegmentChain(std::string name, std::vector<std::shared_ptr<const Segment>> segments)
    : name_(std::move(name)), segments_(std::move(segments)) {
  if (segments_.empty()) throw Error("ERR_INVALID_ARGUMENT", name_ + ": expected at least one model");
  for (const auto& segment : segments_) places_.push_back(segment->place());
}

Place SegmentChain::place() const {
  Place place = places_.front();
  for (const Place& other : places_) place = between(place, other);
  return place;
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

SegmentChain::Passes SegmentChain::forward(const PlacedTensor& input, size_t rows, bool record,
                                           const Place& reader, const std::vector<int64_t>* output_row,
                                           const CancellableRun& run, const CancelToken& cancel) const {
  Passes passes;
  std::vector<int64_t> expected;
  const PlacedTensor* x = &input;
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
    const bool last = i + 1 == segments_.size();
    const Place out = between(places_[i], last ? reader : places_[i + 1]);
    passes.push_back(segments_[i]->forward(*x, rows, record, out, run, cancel));
    x = &passes.back()->output();
    const std::vector<int64_t>* row = last ? output_row : &segments_[i + 1]->input_shape();
    if (row != nullptr && x->shape != batch_shape(rows, *row, expected))
      throw Error("ERR_SHAPE_MISMATCH", segments_[i]->name() + ": expected an output " +
                                            shape_text(expected) + ", got " + shape_text(x->shape));
  }
  return passes;
}

void SegmentChain::backward(Passes passes, const PlacedTensor& last_cotangent, size_t rows,
                            PlacedTensor& gradient, Cotangents& cotangents, const CancellableRun& run,
                            const CancelToken& cancel) const {
  const PlacedTensor* cotangent = &last_cotangent;
  for (size_t i = segments_.size(); i-- > 0;) {
    if (cancel.cancelled()) throw Error("ERR_ABORTED", name_ + ": the run was aborted");
    PlacedTensor* out = &gradient;
    if (i > 0)
      out = &cotangents.tensor(i, rows, segments_[i]->input_shape(), between(places_[i - 1], places_[i]));
    passes[i]->backward(*cotangent, *out, run, cancel);
    passes.pop_back();  // its activations are not needed any more
    cotangent = out;
  }
}

}  // namespace tr0n
