#pragma once
#include <memory>
#include <vector>

#include "bridge/row_runner.h"
#include "core/objective.h"

namespace tr0n {

/// A model used row by row: latents to images, to conditions, to features.
class ModelRowMap final : public RowMap {
 public:
  /// `model` has one input.
  ModelRowMap(std::shared_ptr<const BlockModel> model, const RowLimits& limits)
      : runner_(std::move(model), limits) {}

  /// Must have returned once before output sizes are asked for.
  void prepare(CancelToken& cancel) { runner_.prepare(cancel); }
  size_t input_size() const override { return runner_.model().inputs()[0].size; }
  size_t output_count() const override { return runner_.output_count(); }
  size_t output_size(size_t output) const override { return runner_.output_size(output); }
  const std::vector<int64_t>& output_shape(size_t output) const { return runner_.output_shape(output); }
  const BlockRule& rule() const { return runner_.rule(); }
  void run(const float* rows, size_t n, float* const* outputs, CancelToken& cancel) override {
    runner_.run(&rows, n, outputs, cancel);
  }

 private:
  RowRunner runner_;
};

}  // namespace tr0n
