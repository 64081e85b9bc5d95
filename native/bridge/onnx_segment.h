#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/segment.h"
#include "bridge/session.h"

namespace tr0n {

/// How sessions serve as a segment. The gradient's graph is cut in two: what does not depend on the cotangent
/// runs with the forward pass, and the values on the cut are kept in between, so nothing is computed twice.
struct OnnxSegmentConfig {
  std::string name;
  std::vector<int64_t> input_shape;         ///< of a row
  std::shared_ptr<const Session> forward;   ///< input → output
  std::shared_ptr<const Session> recorded;  ///< input → output, saved…; null where no gradient is wanted
  std::shared_ptr<const Session> backward;  ///< saved…, cotangent → gradient; null with it
  std::string input, output;                ///< of forward and recorded
  std::vector<std::string> saved;           ///< outputs of recorded, inputs of backward
  std::string cotangent, gradient;          ///< of backward
};

/// ONNX graphs in the middle of a pipeline.
class OnnxSegment final : public Segment {
 public:
  /// Throws ERR_INVALID_ARGUMENT for names that the sessions do not have.
  explicit OnnxSegment(OnnxSegmentConfig config);
  const std::string& name() const override { return config_.name; }
  size_t model_bytes() const override { return config_.forward->model_bytes(); }
  bool on_device() const override { return config_.forward->device() != nullptr; }
  const std::vector<int64_t>& input_shape() const override { return config_.input_shape; }
  bool has_gradient() const override { return config_.backward != nullptr; }
  Place place() const override { return config_.forward->place(); }
  std::unique_ptr<Pass> forward(const PlacedTensor& input, size_t rows, bool record, const Place& out,
                                const CancellableRun& run, const CancelToken& cancel) const override;

 private:
  class OnnxPass;
  OnnxSegmentConfig config_;
  static constexpr size_t kInput = static_cast<size_t>(-1);
  std::vector<const char*> outputs_;          ///< output, then what else is fetched
  std::vector<size_t> saved_;                 ///< places of saved values in outputs_, or kInput
  std::vector<const char*> backward_inputs_;  ///< saved…, cotangent
};

}  // namespace tr0n
