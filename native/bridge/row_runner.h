#pragma once
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/block_model.h"
#include "bridge/placed_buffer.h"
#include "bridge/row_blocks.h"
#include "bridge/row_cost.h"
#include "bridge/session.h"

namespace tr0n {

/// How many rows a model takes, and what decides in which blocks they run.
struct RowLimits {
  size_t fixed_batch = 0;  ///< rows the model was exported for; 0 = any
  size_t max_batch = 64;   ///< upper bound of the rows of one call, where any
  RowCost cost;            ///< as far as the model does not count it itself, see BlockModel::counted()
  std::string key;         ///< of its rule in the RuleBook; empty: it is in none

  /// For one of several models that share a key.
  RowLimits part(const char* name) const {
    RowLimits limits = *this;
    if (!key.empty()) limits.key += name;
    return limits;
  }
};

/// Runs a model over rows so that the bits of a row's outputs depend on that row's inputs alone: not on n,
/// the split or the number of threads. Rows are cut into blocks, blocks run on the thread pool, one call of
/// the model each, on the caller's memory where its alignment allows and through scratch where not.
///
/// What was measured with ONNX Runtime 1.30 on x86-64 (AVX2, one intra-op thread, batches 1…9, 12, 16, 24,
/// 32, 33, 48, 64 against one another):
/// - Gemm, MatMul, Conv, ConvTranspose, Exp, Tanh, Sigmoid, Erf, Softmax, LogSoftmax, Pow, ReduceL2,
/// ReduceSumSquare
///   and ReduceLogSumExp give every row the same bits in every batch, 1 included.
/// - Log, Softplus, Sin, Elu and Selu treat the last (elements mod 4) elements of a tensor, and those before
/// the first
///   16-byte boundary of its memory, by scalar code with other rounding: the same bits only in blocks of a
///   multiple of 4 rows whose memory is aligned, or of fewer where rows have a multiple of 4 elements.
/// - ReduceSum and ReduceMean along rows whose size is not a multiple of 4 add in an order that depends on
/// the row's
///   address, hence on its position in the block, whatever the block's size.
/// Other processors and runtimes differ. So nothing is assumed: the first use of a runner measures which
/// block sizes agree (see probe()), and where not even the position is free, rows run one by one. So do rows
/// that cost too much for that (see probe_tier()).
///
/// On a device (BlockModel::on_device()) nothing is measured: blocks are padded to few sizes, the smallest
/// that holds n rows or else the largest there is, and run one after the other on the caller's thread. A
/// row's bits may then depend on n, as its library's kernels do.
class RowRunner {
 public:
  RowRunner(std::shared_ptr<const BlockModel> model, const RowLimits& limits)
      : model_(std::move(model)), limits_(limits) {}

  const BlockModel& model() const { return *model_; }
  Place place() const { return model_->place(); }
  size_t output_count() const { return model_->output_names().size(); }

  /// Learns the outputs' shapes and the block rule by running the model, once; run() does so by itself.
  void prepare(CancelToken& cancel);
  /// Shape of an output's row and its elements. After prepare().
  const std::vector<int64_t>& output_shape(size_t output) const { return outputs_[output].shape; }
  size_t output_size(size_t output) const { return outputs_[output].size; }
  const BlockRule& rule() const { return rule_; }

  /// Rows that all runners of this process have run, those of probes and of padding included. For tests.
  static uint64_t rows_run();

  /// inputs[i] [n, size], outputs[k] [n, output_size(k)], overwritten, in the memory of a place. In the
  /// model's own place nothing is copied and, in a device's, run() may return before the device has finished.
  void run(const float* const* inputs, size_t n, float* const* outputs, CancelToken& cancel,
           const Place& memory = {});

 private:
  /// What one block needs besides the caller's memory; kept from call to call.
  struct Scratch {
    std::vector<PlacedBuffer> inputs, outputs;  ///< in the model's place
    std::vector<const float*> input_data;
    std::vector<float*> output_data;
    std::unique_ptr<BlockModel::State> state;
  };
  class Lease;
  class Probe;

  BlockRule decide(CancelToken& cancel);
  BlockRule probe(ProbeTier tier, const RowCost& cost, CancelToken& cancel);
  bool allows(const BlockRule& rule) const;
  void learn_outputs(CancelToken& cancel);
  static void count_rows(size_t rows);
  /// What run() got.
  struct Arrays {
    const float* const* inputs;
    float* const* outputs;
    Place memory;
  };
  void run_in_turn(const Arrays& arrays, size_t n, const CancellableRun& run, const CancelToken& cancel);
  void run_block(const Arrays& arrays, size_t first, size_t count, size_t rows, Scratch& scratch,
                 const CancellableRun& run, const CancelToken& cancel) const;
  std::string memory_text(size_t rows) const;
  bool fits(const float* data, const Place& memory) const;

  Scratch make_scratch() const;

  std::shared_ptr<const BlockModel> model_;
  RowLimits limits_;

  std::mutex prepare_mutex_;
  std::atomic<bool> prepared_{false};
  std::vector<RowOutput> outputs_;
  BlockRule rule_;
  /// Of a block on a device whose memory did not suffice for more.
  std::atomic<size_t> most_rows_{std::numeric_limits<size_t>::max()};

  std::mutex scratch_mutex_;
  std::vector<std::unique_ptr<Scratch>> scratches_;
};

}  // namespace tr0n
