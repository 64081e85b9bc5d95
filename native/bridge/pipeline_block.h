#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/block_model.h"
#include "bridge/segment_chain.h"
#include "bridge/session.h"

namespace tr0n {

/// The end of a pipeline that computes energies: (x, condition) → E, or E and ∂E/∂x.
struct PipelineHead {
  std::shared_ptr<const Session> session;
  std::string input, condition, energy;
  std::string gradient;                               ///< empty where only energies are wanted
  std::vector<int64_t> input_shape, condition_shape;  ///< of a row
  size_t fixed_batch = 0;  ///< rows of one run, where those are not a block's; 0: any
};

/// Models of any format one behind the other as a model of rows. Without a head its output is the last
/// segment's; with one, E or E and ∂E/∂z: the cotangents flow back through the tapes of the same block.
class PipelineBlock final : public BlockModel {
 public:
  /// Throws ERR_INVALID_ARGUMENT without segments or without a gradient that is wanted.
  PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments);
  PipelineBlock(std::string name, std::vector<std::shared_ptr<const Segment>> segments, PipelineHead head);

  const std::string& name() const override { return chain_.name(); }
  size_t model_bytes() const override;
  RowCost counted() const override { return chain_.counted(); }
  bool on_device() const override {
    return chain_.on_device() || (head_.session && head_.session->device() != nullptr);
  }
  Place place() const override { return place_; }
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
  bool records() const { return head_.session && !head_.gradient.empty(); }
  /// Runs all segments, with tapes where a gradient is wanted.
  SegmentChain::Passes forward(const float* z, size_t rows, const CancellableRun& run,
                               const CancelToken& cancel) const;
  /// `gradient` is null where only energies are wanted.
  void run_head(const PlacedTensor& x, const float* condition, size_t rows, float* energies,
                PlacedTensor* gradient, const CancellableRun& run, const CancelToken& cancel) const;
  /// As run_head() in batches of the head's own.
  void run_head_in_batches(const PlacedTensor& x, const float* condition, size_t rows, float* energies,
                           PlacedTensor* gradient, const CancellableRun& run,
                           const CancelToken& cancel) const;
  /// Where the head takes and leaves values.
  Place head_place() const { return head_.fixed_batch > 0 ? Place{} : head_.session->place(); }
  PlacedTensor over(const float* data, size_t rows, const std::vector<int64_t>& row) const;

  SegmentChain chain_;
  PipelineHead head_;
  Place place_;
  std::vector<RowInput> inputs_;
  std::vector<std::string> outputs_;
};

}  // namespace tr0n
