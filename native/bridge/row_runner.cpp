#include "bridge/row_runner.h"

#include <algorithm>
#include <cstring>

#include "core/thread_pool.h"

namespace tr0n {

using ort::ElementType;

/// A scratch for the length of a block; several blocks run at once.
class RowRunner::Lease {
 public:
  explicit Lease(RowRunner& runner) : runner_(runner) {
    {
      std::lock_guard<std::mutex> lock(runner.scratch_mutex_);
      if (!runner.scratches_.empty()) {
        scratch_ = std::move(runner.scratches_.back());
        runner.scratches_.pop_back();
      }
    }
    if (scratch_) return;
    scratch_ = std::make_unique<Scratch>();
    scratch_->inputs.resize(runner.inputs_.size());
    scratch_->outputs.resize(runner.output_names_.size());
  }
  ~Lease() {
    std::lock_guard<std::mutex> lock(runner_.scratch_mutex_);
    runner_.scratches_.push_back(std::move(scratch_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Scratch& operator*() { return *scratch_; }

 private:
  RowRunner& runner_;
  std::unique_ptr<Scratch> scratch_;
};

namespace {

float* reserve(HostBlock& block, size_t elements) {
  const size_t bytes = elements * sizeof(float);
  if (block.bytes() < bytes || !block.data()) block = HostBlock(bytes);
  return block.floats();
}

/// [rows, shape…]
const std::vector<int64_t>& batch_shape(size_t rows, const std::vector<int64_t>& row,
                                        std::vector<int64_t>& out) {
  out.assign(1, static_cast<int64_t>(rows));
  out.insert(out.end(), row.begin(), row.end());
  return out;
}

void check_batch_axis(const ValueInfo& info, const std::string& what, size_t fixed_batch) {
  if (!info.tensor || info.type != ElementType::float32)
    throw Error("ERR_MODEL_UNSUPPORTED", what + ": expected float32, the model has " + type_name(info.type));
  if (info.shape.empty() || info.shape[0] < 0) return;
  if (static_cast<size_t>(info.shape[0]) == fixed_batch) return;
  const std::string wanted =
      fixed_batch == 0 ? "a symbolic batch" : "a batch of " + std::to_string(fixed_batch);
  throw Error("ERR_SHAPE_MISMATCH",
              what + ": expected " + wanted + ", the model has shape " + shape_text(info));
}

}  // namespace

RowRunner::RowRunner(std::shared_ptr<const Session> session, std::vector<RowInput> inputs,
                     std::vector<std::string> outputs, const RowLimits& limits)
    : session_(std::move(session)),
      inputs_(std::move(inputs)),
      output_names_(std::move(outputs)),
      limits_(limits) {
  for (RowInput& input : inputs_) {
    const ValueInfo& info = session_->input(input.name);
    const std::string what = session_->name() + ": input \"" + input.name + "\"";
    input.size = element_count(input.shape);
    if (input.size == 0)
      throw Error("ERR_INVALID_ARGUMENT",
                  what + ": expected rows with elements, got " + shape_text(input.shape));
    check_batch_axis(info, what, limits_.fixed_batch);
    bool fits = info.shape.empty() || info.shape.size() == input.shape.size() + 1;
    for (size_t i = 1; fits && i < info.shape.size(); ++i)
      fits = info.shape[i] < 0 || info.shape[i] == input.shape[i - 1];
    if (!fits)
      throw Error("ERR_SHAPE_MISMATCH", what + ": rows of shape " + shape_text(input.shape) +
                                            " do not fit the model's " + shape_text(info));
  }
  for (const ValueInfo& wanted : session_->inputs()) {
    const auto is_wanted = [&](const RowInput& input) { return input.name == wanted.name; };
    if (std::none_of(inputs_.begin(), inputs_.end(), is_wanted))
      throw Error("ERR_INVALID_ARGUMENT",
                  session_->name() + ": input \"" + wanted.name + "\" would get no value");
  }
  for (const std::string& name : output_names_)
    check_batch_axis(session_->output(name), session_->name() + ": output \"" + name + "\"",
                     limits_.fixed_batch);
  for (const RowInput& input : inputs_) input_pointers_.push_back(input.name.c_str());
  for (const std::string& name : output_names_) output_pointers_.push_back(name.c_str());
}

void RowRunner::prepare(CancelToken& cancel) {
  if (prepared_.load(std::memory_order_acquire)) return;
  std::lock_guard<std::mutex> lock(prepare_mutex_);
  if (prepared_.load()) return;
  learn_outputs(cancel);
  rule_ = probe(cancel);
  prepared_.store(true, std::memory_order_release);
}

void RowRunner::run(const float* const* inputs, size_t n, float* const* outputs, CancelToken& cancel) {
  if (n == 0) return;
  prepare(cancel);
  cancel.throw_if_cancelled();
  ThreadPool& pool = ThreadPool::instance();
  const BlockPlan plan = plan_blocks(rule_, n, pool.size());
  const CancellableRun run(cancel);
  pool.parallel_for(plan.count, [&](size_t block) {
    cancel.throw_if_cancelled();
    Lease scratch(*this);
    const size_t first = block * plan.rows;
    run_block(inputs, first, std::min(plan.rows, n - first), plan.rows, outputs, *scratch, run, cancel);
  });
}

void RowRunner::run_block(const float* const* inputs, size_t first, size_t count, size_t rows,
                          float* const* outputs, Scratch& scratch, const CancellableRun& run,
                          const CancelToken& cancel) const {
  scratch.values.clear();
  scratch.input_values.clear();
  scratch.output_values.clear();
  scratch.output_data.clear();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const size_t size = inputs_[i].size;
    const float* data = inputs[i] + first * size;
    if (count < rows || !HostBlock::aligned(data)) {
      float* copy = reserve(scratch.inputs[i], rows * size);
      std::memcpy(copy, data, count * size * sizeof(float));
      for (size_t row = count; row < rows; ++row)
        std::memcpy(copy + row * size, data + (count - 1) * size, size * sizeof(float));
      data = copy;
    }
    const auto& shape = batch_shape(rows, inputs_[i].shape, scratch.shape);
    scratch.values.push_back(make_value(const_cast<float*>(data), rows * size * sizeof(float), shape.data(),
                                        shape.size(), ElementType::float32));
    scratch.input_values.push_back(scratch.values.back().get());
  }
  for (size_t k = 0; k < outputs_.size(); ++k) {
    const size_t size = outputs_[k].size;
    float* data = outputs[k] + first * size;
    if (count < rows || !HostBlock::aligned(data)) data = reserve(scratch.outputs[k], rows * size);
    const auto& shape = batch_shape(rows, outputs_[k].shape, scratch.shape);
    scratch.values.push_back(
        make_value(data, rows * size * sizeof(float), shape.data(), shape.size(), ElementType::float32));
    scratch.output_values.push_back(scratch.values.back().get());
    scratch.output_data.push_back(data);
  }
  session_->run_raw(run.options(), input_pointers_.data(), scratch.input_values.data(), inputs_.size(),
                    output_pointers_.data(), outputs_.size(), scratch.output_values.data(), cancel);
  for (size_t k = 0; k < outputs_.size(); ++k) {
    float* wanted = outputs[k] + first * outputs_[k].size;
    if (scratch.output_data[k] != wanted)
      std::memcpy(wanted, scratch.output_data[k], count * outputs_[k].size * sizeof(float));
  }
  scratch.values.clear();
}

}  // namespace tr0n
