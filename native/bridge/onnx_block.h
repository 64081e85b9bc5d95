#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/block_model.h"
#include "bridge/session.h"

namespace tr0n {

/// A session as a model of rows. It should have one intra-op thread.
class OnnxBlock final : public BlockModel {
 public:
  /// Checks names, types and fixed dimensions: ERR_INVALID_ARGUMENT, ERR_SHAPE_MISMATCH. `fixed_batch` is the
  /// number of rows that the graph was exported for; 0 = symbolic.
  OnnxBlock(std::shared_ptr<const Session> session, std::vector<RowInput> inputs,
            std::vector<std::string> outputs, size_t fixed_batch);

  const std::string& name() const override { return session_->name(); }
  size_t model_bytes() const override { return session_->model_bytes(); }
  bool on_device() const override { return session_->device() != nullptr; }
  const std::vector<RowInput>& inputs() const override { return inputs_; }
  const std::vector<std::string>& output_names() const override { return output_names_; }
  std::unique_ptr<State> make_state() const override;
  Place place() const override { return in_memory(session_->place()); }
  std::vector<std::vector<int64_t>> output_shapes(const float* const* inputs, size_t rows,
                                                  CancelToken& cancel) const override;
  void run(const float* const* inputs, size_t rows, const std::vector<RowOutput>& shapes,
           float* const* outputs, State& state, const CancellableRun& run,
           const CancelToken& cancel) const override;

 private:
  struct Values;
  std::shared_ptr<const Session> session_;
  std::vector<RowInput> inputs_;
  std::vector<std::string> output_names_;
  std::vector<const char*> input_pointers_, output_pointers_;
};

/// Throws ERR_MODEL_UNSUPPORTED unless a value holds float32, ERR_SHAPE_MISMATCH where its first dimension is
/// fixed to something else than `fixed_batch`.
void check_batch_axis(const ValueInfo& info, const std::string& what, size_t fixed_batch);

}  // namespace tr0n
