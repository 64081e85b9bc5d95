#include "bridge/fixed_batch_segment.h"

#include "base/error.h"
#include "bridge/block_model.h"
#include "bridge/filled_batch.h"
#include "bridge/session.h"

namespace tr0n {

/// The passes over all batches of a block.
class FixedBatchSegment::Batches final : public Segment::Pass {
 public:
  Batches(const FixedBatchSegment& segment, const PlacedTensor& input, size_t rows, bool record,
          const CancellableRun& run, const CancelToken& cancel)
      : model_(*segment.model_), batch_(segment.batch_), rows_(rows) {
    input_size_ = element_count(model_.input_shape());
    batch_shape(batch_, model_.input_shape(), input_shape_);
    for (size_t first = 0; first < rows; first += batch_) {
      const size_t count = std::min(batch_, rows - first);
      FilledBatch filled(input.data + first * input_size_, count, batch_, input_size_);
      const PlacedTensor x = PlacedTensor::over(filled.data(), input_shape_);
      std::unique_ptr<Pass> pass = model_.forward(x, batch_, record, Place{}, run, cancel);
      keep(pass->output(), first, count);
      if (!record) continue;
      inputs_.push_back(std::move(filled));
      passes_.push_back(std::move(pass));
    }
  }

  const PlacedTensor& output() const override { return output_; }

  void backward(const PlacedTensor& cotangent, PlacedTensor& gradient, const CancellableRun& run,
                const CancelToken& cancel) override {
    HostBlock block(batch_ * input_size_ * sizeof(float));
    std::vector<int64_t> shape = output_.shape;
    shape[0] = static_cast<int64_t>(batch_);
    for (size_t k = passes_.size(); k-- > 0;) {
      const size_t first = k * batch_, count = std::min(batch_, rows_ - first);
      const FilledBatch filled =
          FilledBatch::with_zeros(cotangent.data + first * output_size_, count, batch_, output_size_);
      PlacedTensor part = PlacedTensor::over(block.floats(), input_shape_);
      passes_[k]->backward(PlacedTensor::over(filled.data(), shape), part, run, cancel);
      passes_.pop_back();  // its activations are not needed any more
      std::memcpy(gradient.data + first * input_size_, part.data, count * input_size_ * sizeof(float));
    }
  }

 private:
  /// Takes over the rows of a batch that are none of its filling.
  void keep(const PlacedTensor& part, size_t first, size_t count) {
    if (part.shape.empty() || part.shape[0] != static_cast<int64_t>(batch_))
      throw Error("ERR_SHAPE_MISMATCH", model_.name() + ": expected an output of " + std::to_string(batch_) +
                                            " rows, got " + shape_text(part.shape));
    if (first == 0) {
      output_size_ = element_count(part.shape) / batch_;
      block_ = HostBlock(rows_ * output_size_ * sizeof(float));
      output_ = PlacedTensor::over(block_.floats(), part.shape);
      output_.shape[0] = static_cast<int64_t>(rows_);
    }
    std::memcpy(block_.floats() + first * output_size_, part.data, count * output_size_ * sizeof(float));
  }

  const Segment& model_;
  size_t batch_, rows_;
  size_t input_size_ = 0, output_size_ = 0;
  std::vector<int64_t> input_shape_;
  std::vector<FilledBatch> inputs_;  ///< what the passes have read
  std::vector<std::unique_ptr<Pass>> passes_;
  HostBlock block_;
  PlacedTensor output_;
};

std::unique_ptr<Segment::Pass> FixedBatchSegment::forward(const PlacedTensor& input, size_t rows, bool record,
                                                          const Place& /*out*/, const CancellableRun& run,
                                                          const CancelToken& cancel) const {
  return std::make_unique<Batches>(*this, input, rows, record, run, cancel);
}

}  // namespace tr0n
