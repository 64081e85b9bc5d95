#include "bridge/row_runner.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "bridge/placed_copy.h"
#include "device/device.h"

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
  const CancellableRun run(cancel, model_->place().kind == Place::Kind::device);
  if (rule_.one_by_one) return run_in_turn({inputs, outputs, memory}, n, run, cancel);
  ThreadPool& pool = ThreadPool::instance();
  const BlockPlan plan = plan_blocks(rule_, n, pool.size());
  pool.parallel_for(plan.count, [&](size_t block) {
    cancel.throw_if_cancelled();
    Lease scratch(*this);
    const size_t first = block * plan.rows;
    run_block({inputs, outputs, memory}, first, std::min(plan.rows, n - first), plan.rows, *scratch, run,
              cancel);
  });
}

/// Blocks on a device, which shares its memory with others: where it does not suffice, blocks have half the
/// rows from then on. What has been computed stays.
void RowRunner::run_in_turn(const Arrays& arrays, size_t n, const CancellableRun& run,
                            const CancelToken& cancel) {
  BlockRule rule = rule_;
  rule.max_rows = std::min(rule.max_rows, most_rows_.load());
  size_t rows = plan_blocks(rule, n, 1).rows;
  for (size_t first = 0; first < n;) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(rows, n - first);
    try {
      Lease scratch(*this);
      run_block(arrays, first, count, rows, *scratch, run, cancel);
      first += count;
    } catch (const Error& error) {
      if (error.code() != "ERR_OUT_OF_MEMORY") throw;
      if (rows <= rule.granularity) throw Error(error.code(), error.what() + memory_text(rows));
      rows = std::max(rule.granularity, rows / 2);
      most_rows_.store(rows);
      const std::lock_guard<std::mutex> lock(scratch_mutex_);
      scratches_.clear();  // of the larger blocks
    }
  }
}

/// What is known of the memory that a block wants and that there is.
std::string RowRunner::memory_text(size_t rows) const {
  size_t floats = 0;
  for (const RowInput& input : model_->inputs()) floats += rows * input.size;
  for (const RowOutput& output : outputs_) floats += rows * output.size;
  std::string text = ". The smallest block, of " + std::to_string(rows) + (rows == 1 ? " row" : " rows") +
                     ", does not fit: it wants " + std::to_string(floats * sizeof(float)) +
                     " bytes for inputs and outputs and more for what lies between them, beside " +
                     std::to_string(model_->model_bytes()) + " of weights";
  const Place place = model_->place();
  const auto memory = place.is_host() ? std::nullopt : place.device->memory();
  if (memory)
    text += "; " + std::to_string(memory->free) + " of " + std::to_string(memory->total) + " bytes of " +
            place.device->name() + " are free";
  return text;
}

/// Whether a block can lie where the caller's does.
bool RowRunner::fits(const float* data, const Place& memory) const {
  return memory == model_->place() && (!memory.is_host() || HostBlock::aligned(data));
}

void RowRunner::run_block(const Arrays& arrays, size_t first, size_t count, size_t rows, Scratch& scratch,
                          const CancellableRun& run, const CancelToken& cancel) const {
  const auto& [inputs, outputs, memory] = arrays;
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
