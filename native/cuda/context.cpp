#include "cuda/context.h"

namespace tr0n::cuda {
namespace {

[[noreturn]] void unavailable(const std::string& message) { throw Error("ERR_DEVICE_UNAVAILABLE", message); }

}  // namespace

std::string capability_text(int compute_capability) {
  return std::to_string(compute_capability / 10) + "." + std::to_string(compute_capability % 10);
}

std::string too_old(int compute_capability) {
  return "expected compute capability " + capability_text(kOldestArchitecture) + " or above, got " +
         capability_text(compute_capability);
}

Context::Context(int index) : api_(driver_api()), name_("cuda:" + std::to_string(index)) {
  const auto tried = [&](CUresult status, const char* call) {
    if (status != CUDA_SUCCESS) throw make_error(api_, status, name_, call, "driver " + library().path);
  };
  tried(api_.cuInit(0), "cuInit");
  int count = 0;
  tried(api_.cuDeviceGetCount(&count), "cuDeviceGetCount");
  if (index < 0 || index >= count)
    unavailable(name_ + ": expected a device from cuda:0 to cuda:" + std::to_string(count - 1) + "; " +
                library().path + " has " + std::to_string(count));
  tried(api_.cuDeviceGet(&device_, index), "cuDeviceGet");
  const int major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
            minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  compute_capability_ = 10 * major + minor;
  if (compute_capability_ < kOldestArchitecture) unavailable(name_ + ": " + too_old(compute_capability_));
  tried(api_.cuDevicePrimaryCtxRetain(&handle_, device_), "cuDevicePrimaryCtxRetain");
}

Context::~Context() { api_.cuDevicePrimaryCtxRelease_v2(device_); }

int Context::attribute(CUdevice_attribute attribute) const {
  int value = 0;
  check(api_.cuDeviceGetAttribute(&value, attribute, device_), "cuDeviceGetAttribute");
  return value;
}

void Context::check(CUresult status, const char* call, const std::string& detail) const {
  if (status == CUDA_SUCCESS) return;
  require_usable();
  const DriverError error = make_error(api_, status, name_, call, detail);
  if (sticky(status)) {
    const std::lock_guard lock(mutex_);
    loss_ = error.what();
  }
  throw error;
}

bool Context::lost() const {
  const std::lock_guard lock(mutex_);
  return !loss_.empty();
}

void Context::require_usable() const {
  const std::lock_guard lock(mutex_);
  if (!loss_.empty())
    throw Error("ERR_DEVICE_LOST", name_ + " cannot be used any more since it failed (" + loss_ +
                                       "); dispose of everything on it and restart the process");
}

Current::Current(const Context& context) : context_(context) {
  context.require_usable();
  TR0N_CUDA(context, cuCtxPushCurrent_v2, context.handle());
}

Current::Current(const Context& context, std::nothrow_t) noexcept
    : context_(context), pushed_(context.api().cuCtxPushCurrent_v2(context.handle()) == CUDA_SUCCESS) {}

Current::~Current() {
  if (!pushed_) return;
  CUcontext popped = nullptr;
  context_.api().cuCtxPopCurrent_v2(&popped);
}

}  // namespace tr0n::cuda
