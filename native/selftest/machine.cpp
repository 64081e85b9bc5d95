#include "selftest/machine.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>

#include "cuda/device.h"
#include "cuda/library.h"
#include "selftest/limits.h"

namespace tr0n::selftest {
namespace {

using namespace tr0n::cuda;  // the driver API's names

/// A pair of events on the device's stream.
class Stopwatch {
 public:
  explicit Stopwatch(const cuda::CudaDevice& device)
      : context_(device.context()), stream_(device.queue().stream()) {
    const cuda::Current current(context_);
    TR0N_CUDA(context_, cuEventCreate, &begin_, 0);
    TR0N_CUDA(context_, cuEventCreate, &end_, 0);
  }
  ~Stopwatch() {
    const cuda::Current current(context_, std::nothrow);
    context_.api().cuEventDestroy_v2(begin_);
    context_.api().cuEventDestroy_v2(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  /// Seconds on the device for `count` calls.
  double measure(size_t count, const std::function<void()>& call) {
    record(begin_);
    for (size_t i = 0; i < count; ++i) call();
    record(end_);
    const cuda::Current current(context_);
    TR0N_CUDA(context_, cuEventSynchronize, end_);
    float milliseconds = 0;
    TR0N_CUDA(context_, cuEventElapsedTime, &milliseconds, begin_, end_);
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  void record(CUevent event) {
    const cuda::Current current(context_);
    TR0N_CUDA(context_, cuEventRecord, event, stream_);
  }

  const cuda::Context& context_;
  const CUstream stream_;
  CUevent begin_ = nullptr, end_ = nullptr;
};

std::string gpu_name(const cuda::Context& context) {
  char name[256] = "";
  TR0N_CUDA(context, cuDeviceGetName, name, sizeof name, context.device());
  return name;
}

std::string tenths(int value) { return std::to_string(value / 10) + "." + std::to_string(value % 10); }

}  // namespace

Machine::Machine(int index) : device_(cuda::cuda_device(index)) {
  const cuda::Library& library = cuda::library();
  // Open already: this only asks for its handle.
  void* handle = dlopen(library.path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (handle != nullptr) {
    violations_ = reinterpret_cast<uint64_t (*)()>(dlsym(handle, "tr0n_emulator_violations"));
    leaks_ = reinterpret_cast<uint64_t (*)()>(dlsym(handle, "tr0n_emulator_leaks"));
    report_ = reinterpret_cast<const char* (*)()>(dlsym(handle, "tr0n_emulator_report"));
    reset_ = reinterpret_cast<void (*)()>(dlsym(handle, "tr0n_emulator_reset"));
    dlclose(handle);
  }
  const cuda::Context& context = device_->context();
  const double multiprocessors = context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
               clock = 1e3 * context.attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
               memory_clock = 1e3 * context.attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
               bus_bits = context.attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
  const Arithmetic arithmetic = arithmetic_of(context.compute_capability());
  bandwidth_ = 2 * memory_clock * bus_bits / 8;  // two transfers in a clock
  single_ = multiprocessors * clock * arithmetic.single;
  tensor_ = multiprocessors * clock * arithmetic.tensor;
  description_ = device_->name() + std::string(": ") + gpu_name(context) + ", compute capability " +
                 tenths(context.compute_capability()) + ", driver for CUDA " +
                 cuda::version_text(library.version) + (real() ? "" : ", the emulator: nothing is timed");
}

Machine::~Machine() = default;

Device& Machine::device() { return *device_; }

std::string Machine::violations() {
  if (real() || violations_() == 0) return "";
  std::string text = report_();
  reset_();
  return text;
}

size_t Machine::leaks() {
  device_.reset();
  return real() ? 0 : static_cast<size_t>(leaks_());
}

std::optional<Timing> Machine::time(const Work& work, const std::function<void()>& calls) {
  if (!real()) return std::nullopt;
  const std::unique_ptr<Recording> recording = device_->record(calls);
  const std::function<void()> call = recording ? [&] { recording->replay(); } : calls;
  Stopwatch stopwatch(*device_);
  stopwatch.measure(3, call);
  const double once = std::max(stopwatch.measure(10, call) / 10, 1e-7);
  const size_t count = std::clamp<size_t>(static_cast<size_t>(0.02 / once), 10, 2000);
  double best = INFINITY;
  for (int repetition = 0; repetition < 3; ++repetition)
    best = std::min(best, stopwatch.measure(count, call) / static_cast<double>(count));
  return Timing{best, work.bytes / best, work.flops / best, share_of_limit(work, best)};
}

double Machine::share_of_limit(const Work& work, double seconds) const {
  const double peak = work.tensor && tensor_ > 0 ? tensor_ : single_;
  const double by_bytes = bandwidth_ > 0 ? work.bytes / bandwidth_ : 0;
  const double by_flops = peak > 0 ? work.flops / peak : 0;
  return std::max(by_bytes, by_flops) / seconds;
}

}  // namespace tr0n::selftest
