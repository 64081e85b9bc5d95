#include "emulator/provider/compute.h"

#include <map>
#include <mutex>

#include "emulator/emulator.h"
#include "emulator/provider/switches.h"

namespace tr0n::provider {

using namespace tr0n::cuda;

namespace {

const Api& api() { return Runtime::get().api; }

/// A session on the CPU for a part's model.
class Inner {
 public:
  explicit Inner(Part part) : part_(std::move(part)) {
    SessionOptions* options = nullptr;
    check(api().CreateSessionOptions(&options));
    const std::unique_ptr<SessionOptions, void (*)(SessionOptions*)> owned(options,
                                                                           api().ReleaseSessionOptions);
    check(api().SetIntraOpNumThreads(options, 1));
    check(api().CreateSessionFromArray(Runtime::get().env, part_.model.data(), part_.model.size(), options,
                                       &session_));
    part_.model.clear();
    for (const std::string& name : part_.inputs) inputs_.push_back(name.c_str());
    for (const std::string& name : part_.outputs) outputs_.push_back(name.c_str());
  }
  ~Inner() { api().ReleaseSession(session_); }
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;

  size_t outputs() const { return outputs_.size(); }
  bool integer_input() const { return part_.integer_input; }
  const std::string& output(size_t index) const { return part_.outputs[index]; }

  std::vector<OwnedValue> run(const std::vector<OwnedValue>& inputs) const {
    std::vector<const Value*> given;
    for (const OwnedValue& value : inputs) given.push_back(value.get());
    std::vector<Value*> results(outputs_.size(), nullptr);
    Status* status = api().Run(session_, nullptr, inputs_.data(), given.data(), given.size(), outputs_.data(),
                               outputs_.size(), results.data());
    std::vector<OwnedValue> owned;
    for (Value* value : results) owned.emplace_back(value);
    check(status);
    return owned;
  }

 private:
  Part part_;
  std::vector<const char*> inputs_, outputs_;
  RawSession* session_ = nullptr;
};

struct Placed {
  Description description;
  uint64_t address = 0;
};

/// What a run is to do, and what came of it.
struct Job {
  std::shared_ptr<const Inner> inner;
  std::vector<Placed> inputs, outputs;
  std::vector<OwnedValue> results;
  std::string failure;

  /// Throws.
  void compute() {
    std::vector<std::vector<char>> memory;
    std::vector<OwnedValue> values;
    for (const Placed& input : inputs) {
      const Description& d = input.description;
      memory.emplace_back(std::max<size_t>(d.bytes, 1));
      touched(tr0n_emulator_peek(memory.back().data(), input.address, d.bytes));
      Value* value = nullptr;
      check(api().CreateTensorWithDataAsOrtValue(Runtime::get().host, memory.back().data(), d.bytes,
                                                 d.shape.data(), d.shape.size(), d.type, &value));
      values.emplace_back(value);
    }
    results = inner->run(values);
  }
  void store() {
    for (size_t k = 0; k < results.size(); ++k) {
      const Description found = describe(results[k].get());
      if (found.shape != outputs[k].description.shape)
        throw Failure("the shape of output " + inner->output(k) +
                      " depends on more than the shapes of the inputs");
      const void* data = nullptr;
      check(api().GetTensorData(results[k].get(), &data));
      touched(tr0n_emulator_poke(outputs[k].address, data, found.bytes));
    }
    results.clear();
  }
  static void touched(int status) {
    if (status != CUDA_SUCCESS) throw Failure("memory that is not the run's");
  }
};

/// Appends a step of a job to a stream. A step that fails fails its device, as a kernel that faults does.
template <class Step>
void enqueue(CUstream stream, std::shared_ptr<Job> job, Step step) {
  struct Call {
    std::shared_ptr<Job> job;
    Step step;
  };
  const auto run = [](void* user) -> int {
    auto& call = *static_cast<Call*>(user);
    try {
      call.step(*call.job);
      return CUDA_SUCCESS;
    } catch (const std::exception& error) {
      call.job->failure = error.what();
      note_failure(error.what());
      return CUDA_ERROR_LAUNCH_FAILED;
    }
  };
  const auto drop = [](void* user) { delete static_cast<Call*>(user); };
  driver(static_cast<CUresult>(tr0n_emulator_enqueue(stream, "Tr0nTestExecutionProvider", run, drop,
                                                     new Call{std::move(job), std::move(step)})),
         "tr0n_emulator_enqueue");
}

class Compute final : public ComputeInfo {
 public:
  Compute(int gpu, Part part, std::shared_ptr<const OwnStream> fallback)
      : gpu_(gpu), inner_(std::make_shared<const Inner>(std::move(part))), fallback_(std::move(fallback)) {
    CreateState = [](ComputeInfo*, ComputeContext*, void** state) -> Status* {
      *state = nullptr;
      return nullptr;
    };
    ComputeInfo::Compute = [](ComputeInfo* self, void*, KernelContext* context) {
      return guarded([&] { static_cast<class Compute*>(self)->run(context); });
    };
    ReleaseState = [](ComputeInfo*, void*) {};
  }

 private:
  using Shapes = std::vector<Description>;

  void run(KernelContext* context) {
    const Current current(gpu_);
    void* handle = nullptr;
    check(api().KernelContext_GetGPUComputeStream(context, &handle));
    auto stream = static_cast<CUstream>(handle);
    const bool bare = stream == nullptr;
    if (bare || planted().own_stream) stream = fallback_->handle();

    auto job = std::make_shared<Job>();
    job->inner = inner_;
    take_inputs(context, *job, stream);
    std::vector<int64_t> key;
    for (const Placed& input : job->inputs) {
      key.push_back(static_cast<int64_t>(input.description.shape.size()));
      key.insert(key.end(), input.description.shape.begin(), input.description.shape.end());
    }
    const Shapes* known = shapes(key);
    count_run(known != nullptr);
    if (known == nullptr) {
      // What shapes the outputs have shows once: the caller waits.
      enqueue(stream, job, [](Job& j) { j.compute(); });
      const CUresult status = cuStreamSynchronize(stream);
      if (!job->failure.empty()) throw Failure(job->failure);
      driver(status, "cuStreamSynchronize");
      Shapes found;
      for (const OwnedValue& value : job->results) found.push_back(describe(value.get()));
      place_outputs(context, *job, found, stream);
      if (!inner_->integer_input()) keep(std::move(key), std::move(found));
    } else {
      place_outputs(context, *job, *known, stream);
      enqueue(stream, job, [](Job& j) { j.compute(); });
    }
    // The copies back are a work of their own.
    enqueue(planted().late_outputs ? fallback_->handle() : stream, job, [](Job& j) { j.store(); });
    if (bare) driver(cuStreamSynchronize(stream), "cuStreamSynchronize");
  }

  void take_inputs(KernelContext* context, Job& job, CUstream stream) const {
    size_t count = 0;
    check(api().KernelContext_GetInputCount(context, &count));
    for (size_t k = 0; k < count; ++k) {
      const Value* value = nullptr;
      check(api().KernelContext_GetInput(context, k, &value));
      if (value == nullptr) throw Failure("input " + std::to_string(k) + " is missing");
      Placed input{describe(value)};
      const void* data = nullptr;
      check(api().GetTensorData(value, &data));
      input.address = reinterpret_cast<uint64_t>(data);
      require(input);
      used_by(data, stream);
      job.inputs.push_back(std::move(input));
    }
  }

  void place_outputs(KernelContext* context, Job& job, const Shapes& shapes, CUstream stream) const {
    for (size_t k = 0; k < inner_->outputs(); ++k) {
      Placed output{shapes[k]};
      Value* value = nullptr;
      void* data = nullptr;
      check(
          api().KernelContext_GetOutput(context, k, shapes[k].shape.data(), shapes[k].shape.size(), &value));
      check(api().GetTensorMutableData(value, &data));
      output.address = reinterpret_cast<uint64_t>(data);
      require(output);
      used_by(data, stream);
      job.outputs.push_back(std::move(output));
    }
  }

  void require(const Placed& tensor) const {
    if (tensor.address == 0 && tensor.description.bytes > 0) refuse_memory(gpu_, tensor.description.bytes);
  }

  const Shapes* shapes(const std::vector<int64_t>& key) {
    const std::lock_guard lock(mutex_);
    const auto found = shapes_.find(key);
    return found == shapes_.end() ? nullptr : &found->second;
  }
  void keep(std::vector<int64_t> key, Shapes found) {
    const std::lock_guard lock(mutex_);
    shapes_.emplace(std::move(key), std::move(found));
  }

  const int gpu_;
  const std::shared_ptr<const Inner> inner_;
  const std::shared_ptr<const OwnStream> fallback_;
  std::mutex mutex_;
  std::map<std::vector<int64_t>, Shapes>
      shapes_;  ///< of the outputs, by the shapes of the inputs; never erased
};

}  // namespace

ComputeInfo* make_compute(int gpu, Part part, std::shared_ptr<const OwnStream> fallback) {
  return new Compute(gpu, std::move(part), std::move(fallback));
}
void release_compute(ComputeInfo* compute) { delete static_cast<Compute*>(compute); }

}  // namespace tr0n::provider
