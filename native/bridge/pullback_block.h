#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/block_model.h"
#include "bridge/segment_chain.h"

namespace tr0n {

/// (z, cotangent of the output) → Jᵀ·cotangent of models one behind the other. The forward pass runs again: a
/// caller that has much to do between the passes need not keep the activations of all its rows.
class PullbackBlock final : public BlockModel {
 public:
  /// `output_shape` is that of one row. Throws ERR_INVALID_ARGUMENT without models or where one has no
  /// gradient.
  PullbackBlock(std::vector<std::shared_ptr<const Segment>> segments,
                const std::vector<int64_t>& output_shape);

  const std::string& name() const override { return chain_.name(); }
  size_t model_bytes() const override { return chain_.model_bytes(); }
  RowCost counted() const override { return chain_.counted(); }
  bool on_device() const override { return chain_.on_device(); }
  Place place() const override { return in_memory(chain_.place()); }
  const std::vector<RowInput>& inputs() const override { return inputs_; }
  const std::vector<std::string>& output_names() const override { return outputs_; }
  std::unique_ptr<State> make_state() const override;
  std::vector<std::vector<int64_t>> output_shapes(const float* const* inputs, size_t rows,
                                                  CancelToken& cancel) const override;
  void run(const float* const* inputs, size_t rows, const std::vector<RowOutput>& shapes,
           float* const* outputs, State& state, const CancellableRun& run,
           const CancelToken& cancel) const override;

 private:
  struct Kept;
  SegmentChain chain_;
  std::vector<RowInput> inputs_;
  std::vector<std::string> outputs_{"gradient"};
};

}  // namespace tr0n
