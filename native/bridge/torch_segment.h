#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/segment.h"
#include "bridge/torch_probe.h"

namespace tr0n {

/// What of a row becomes one of several inputs of a model.
struct TorchPart {
  std::string input;
  size_t begin = 0, size = 0;  ///< numbers of the row
  std::vector<int64_t> shape;  ///< of a row of the input
  bool broadcast = false;      ///< the same numbers go into each of shape[0] layers
  /// Ascending borders between classes: the one number becomes that of its class, or with `one_hot` a 1 among
  /// zeros. No borders: the numbers themselves.
  std::vector<float> borders;
  bool one_hot = false;
};

/// How a TorchScript model serves as a segment.
struct TorchSegmentConfig {
  std::shared_ptr<const TorchModel> model;
  TorchInterface interface;
  std::vector<TorchPart> parts;      ///< one for each input that is fed; none: a row is the only input's
  std::vector<int64_t> input_shape;  ///< of a row
  std::string output;                ///< which of the outputs goes on
};

/// A TorchScript model in the middle of a pipeline. A pass is a tape: libtorch's autograd keeps the
/// activations between forward and backward. Each pass runs on one thread, its caller's.
class TorchSegment final : public Segment {
 public:
  /// Throws ERR_INVALID_ARGUMENT for a name that is no output, and for parts that are not the inputs;
  /// ERR_MODEL_UNSUPPORTED for other types than float32, ERR_SHAPE_MISMATCH for rows that do not fit.
  explicit TorchSegment(TorchSegmentConfig config);
  const std::string& name() const override { return config_.model->name(); }
  size_t model_bytes() const override { return config_.model->parameter_bytes(); }
  /// Known after the first pass.
  RowCost counted() const override;
  const std::vector<int64_t>& input_shape() const override { return config_.input_shape; }
  bool has_gradient() const override { return true; }
  std::unique_ptr<Pass> forward(const PlacedTensor& input, size_t rows, bool record, const Place& out,
                                const CancellableRun& run, const CancelToken& cancel) const override;

 private:
  class TorchPass;
  void check_parts();
  TorchSegmentConfig config_;
  size_t output_ = 0;
  mutable std::mutex counted_mutex_;
  mutable RowCost counted_;
  mutable bool is_counted_ = false;
};

}  // namespace tr0n
