#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "bridge/place.h"
#include "bridge/row_cost.h"

namespace tr0n {

class CancellableRun;

/// An input of a model whose first axis are rows; `shape` is that of one row.
struct RowInput {
  std::string name;
  std::vector<int64_t> shape;
  size_t size = 0;  ///< elements of a row
};

/// An output of a model whose first axis are rows.
struct RowOutput {
  std::vector<int64_t> shape;  ///< of one row
  size_t size = 0;
};

/// What RowRunner runs: blocks of rows in, blocks of rows out, float32 in the memory of place(), one call per
/// block on the thread that makes it. Several blocks run at once, each with a state of its own.
class BlockModel {
 public:
  /// What a run needs besides the caller's memory; kept from block to block so that a step allocates little.
  struct State {
    virtual ~State() = default;
  };

  virtual ~BlockModel() = default;
  virtual const std::string& name() const = 0;
  /// What the weights take at least.
  virtual size_t model_bytes() const = 0;
  /// What a first run showed of a row's cost; nothing where only the graph tells, which others have counted.
  virtual RowCost counted() const { return {}; }
  /// Whether a device beside the CPU runs it, or part of it: its blocks then take turns.
  virtual bool on_device() const { return false; }
  virtual const std::vector<RowInput>& inputs() const = 0;
  virtual const std::vector<std::string>& output_names() const = 0;
  virtual std::unique_ptr<State> make_state() const = 0;
  /// Where inputs and outputs lie: the host's memory, or a Device's, in the order of whose queue a run works.
  /// It may then return before it has finished.
  virtual Place place() const { return {}; }

  /// Shapes of the outputs, the axis of rows included, from a run on inputs[i] [rows, …].
  virtual std::vector<std::vector<int64_t>> output_shapes(const float* const* inputs, size_t rows,
                                                          CancelToken& cancel) const = 0;
  /// outputs[k] [rows, shapes[k]], overwritten. All host memory is aligned as HostBlock aligns it.
  virtual void run(const float* const* inputs, size_t rows, const std::vector<RowOutput>& shapes,
                   float* const* outputs, State& state, const CancellableRun& run,
                   const CancelToken& cancel) const = 0;
};

/// [rows, row…]
inline const std::vector<int64_t>& batch_shape(size_t rows, const std::vector<int64_t>& row,
                                               std::vector<int64_t>& out) {
  out.assign(1, static_cast<int64_t>(rows));
  out.insert(out.end(), row.begin(), row.end());
  return out;
}

}  // namespace tr0n
