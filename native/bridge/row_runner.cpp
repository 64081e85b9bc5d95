#include "bridge/row_runner.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "bridge/placed_copy.h"

namespace tr0n {

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
    scratch_ = std::make_unique<Scratch>(runner.make_scratch());
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

std::atomic<uint64_t> all_rows{0};

}  // namespace

RowRunner::Scratch RowRunner::make_scratch() const {
  Scratch scratch;
  scratch.inputs.resize(model_->inputs().size());
  scratch.outputs.resize(model_->output_names().size());
  scratch.state = model_->make_state();
  return scratch;
}

uint64_t RowRunner::rows_run() { return all_rows.load(); }

void RowRunner::count_rows(size_t rows) { all_rows.fetch_add(rows, std::memory_order_relaxed); }

void RowRunner::prepare(CancelToken& cancel) {
  if (prepared_.load(std::memory_order_acquire)) return;
  std::lock_guard<std::mutex> lock(prepare_mutex_);
  if (prepared_.load()) return;
  learn_outputs(cancel);
  rule_ = decide(cancel);
  prepared_.store(true, std::memory_order_release);
}

void RowRunner::run(const float* const* inputs, size_t n, float* const* outputs, CancelToken& cancel,
                    const Place& memory) {
  if (n == 0) return;
  prepare(cancel);
  cancel.throw_if_cancelled();
  ThreadPool& pool = ThreadPool::instance();
  const BlockPlan plan = plan_blocks(rule_, n, pool.size());
  const CancellableRun run(cancel, model_->place().kind == Place::Kind::device);
  const auto one = [&](size_t block) {
    cancel.throw_if_cancelled();
    Lease scratch(*this);
    const size_t first = block * plan.rows;
    const size_t count = std::min(plan.rows, n - first);
    run_block(inputs, first, count, plan.rows, outputs, memory, *scratch, run, cancel);
  };
  if (rule_.one_by_one)
    for (size_t block = 0; block < plan.count; ++block) one(block);
  else
    pool.parallel_for(plan.count, one);
}

/// Whether a block can lie where the caller's does.
bool RowRunner::fits(const float* data, const Place& memory) const {
  return memory == model_->place() && (!memory.is_host() || HostBlock::aligned(data));
}

void RowRunner::run_block(const float* const* inputs, size_t first, size_t count, size_t rows,
                          float* const* outputs, const Place& memory, Scratch& scratch,
                          const CancellableRun& run, const CancelToken& cancel) const {
  const std::vector<RowInput>& wanted = model_->inputs();
  const Place place = model_->place();
  scratch.input_data.clear();
  scratch.output_data.clear();
  for (size_t i = 0; i < wanted.size(); ++i) {
    const size_t size = wanted[i].size;
    const float* data = inputs[i] + first * size;
    if (count < rows || !fits(data, memory)) {
      float* copy = scratch.inputs[i].reserve(place, rows * size);
      copy_floats(copy, place, data, memory, count * size);
      repeat_row(copy, place, size, count - 1, rows - count);
      data = copy;
    }
    scratch.input_data.push_back(data);
  }
  for (size_t k = 0; k < outputs_.size(); ++k) {
    const size_t size = outputs_[k].size;
    float* data = outputs[k] + first * size;
    if (count < rows || !fits(data, memory)) data = scratch.outputs[k].reserve(place, rows * size);
    scratch.output_data.push_back(data);
  }
  count_rows(rows);
  model_->run(scratch.input_data.data(), rows, outputs_, scratch.output_data.data(), *scratch.state, run,
              cancel);
  for (size_t k = 0; k < outputs_.size(); ++k) {
    float* target = outputs[k] + first * outputs_[k].size;
    if (scratch.output_data[k] != target)
      copy_floats(target, memory, scratch.output_data[k], place, count * outputs_[k].size);
  }
}

}  // namespace tr0n
