#include <memory>
#include <string>
#include <vector>

#include "cuda/device.h"
#include "cuda/tests/emulator.h"
#include "device/buffer.h"
#include "tests/check.h"

// What a driver can answer, at every call that is made: always a typed error, and nothing is left behind.
using namespace tr0n;
using test::emulator;

namespace {

constexpr unsigned kCount = 300000;   // more than one slot of page-locked memory
constexpr unsigned kComputed = 1024;  // the emulator takes its time

Error error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return Error("none", "nothing was thrown");
}

bool says(const Error& error, const char* part) {
  return std::string(error.what()).find(part) != std::string::npos;
}

void probe(cuda::CudaDevice& device, float* out, const float* in) {
  device.queue().launch({"tr0n_probe", {kComputed / 256}, {256}}, out, in, 1.0f, kComputed);
}

/// A little of everything. Returns whether the numbers are right.
bool work() {
  const auto device = cuda::cuda_device(0);
  Buffer<float> in(*device, kCount), out(*device, kCount);
  in.fill(2);
  probe(*device, out.data(), in.data());
  {
    const cuda::Workspace scratch = device->queue().workspace(size_t{4} * kCount);
    device->queue().zero(scratch.as<float>(), size_t{4} * kCount);
    probe(*device, scratch.as<float>(), out.data());
  }
  const auto recording = device->record([&] { probe(*device, in.data(), out.data()); });
  if (!recording) return false;
  recording->replay();
  device->synchronize();
  std::vector<float> values(kCount);
  in.download(values.data(), kCount);
  for (unsigned i = 0; i < kCount; ++i)
    if (values[i] != (i < kComputed ? 8 : 2)) return false;
  return true;
}

/// Lets go of the context where a release was made to fail, so that what is left behind shows.
void release_context() {
  unsigned flags = 0;
  int active = 0;
  const cuda::DriverApi& api = cuda::driver_api();
  while (api.cuDevicePrimaryCtxGetState(0, &flags, &active) == cuda::CUDA_SUCCESS && active != 0)
    api.cuDevicePrimaryCtxRelease_v2(0);
}

void lose(cuda::CudaDevice& device, Buffer<float>& values) {
  // A pointer that nobody allocated.
  const auto* nowhere = reinterpret_cast<const float*>(uintptr_t{1} << 20);
  device.queue().launch({"tr0n_probe", {1}, {32}}, values.data(), nowhere, 1.0f, 32u);
}

}  // namespace

TEST(faults_a_kernel_that_faults_is_named_and_takes_the_device_with_it) {
  if (emulator() == nullptr) return;  // a real context does not come back within the process
  {
    const auto device = cuda::cuda_device(0);
    Buffer<float> values(*device, 32);
    std::vector<float> host(32);
    values.fill(1);
    lose(*device, values);
    const Error first = error_of([&] { values.download(host.data(), 32); });
    CHECK(first.code() == "ERR_KERNEL_FAILED");
    CHECK(says(first, "tr0n_probe") && says(first, "CUDA_ERROR_ILLEGAL_ADDRESS") && says(first, "cuda:0"));
    for (const auto& use : std::vector<std::function<void()>>{
             [&] { values.download(host.data(), 32); }, [&] { values.upload(host.data(), 32); },
             [&] { lose(*device, values); }, [&] { Buffer<float> more(*device, 1); },
             [&] { device->synchronize(); }, [&] { device->record([] {}); }}) {
      const Error later = error_of(use);
      CHECK(later.code() == "ERR_DEVICE_LOST" && says(later, "CUDA_ERROR_ILLEGAL_ADDRESS"));
    }
  }
  CHECK(emulator()->leaks() == 0);
  emulator()->reset();
  CHECK(work());  // the device is opened anew
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
}

TEST(faults_memory_runs_out) {
  if (emulator() == nullptr) return;
  emulator()->configure("memory", 64 << 20);
  {
    const auto device = cuda::cuda_device(0);
    Buffer<float> some(*device, 1 << 20);
    const Error error = error_of([&] { Buffer<float> more(*device, 64 << 20); });
    CHECK(error.code() == "ERR_OUT_OF_MEMORY" && says(error, "268435456 bytes") && says(error, "64 MiB"));
    some.fill(3);
    float value = 0;
    some.download(&value, 1, 77);
    CHECK(value == 3);
  }
  emulator()->configure("memory", int64_t{8} << 30);
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
}

TEST(faults_every_call_of_the_driver_fails_once) {
  if (emulator() == nullptr) return;
  for (const cuda::CUresult status : {cuda::CUDA_ERROR_OUT_OF_MEMORY, cuda::CUDA_ERROR_INVALID_VALUE,
                                      cuda::CUDA_ERROR_NO_BINARY_FOR_GPU, cuda::CUDA_ERROR_UNKNOWN}) {
    const uint64_t before = emulator()->calls("*");
    CHECK(work());
    const uint64_t calls = emulator()->calls("*") - before;
    CHECK(calls > 40);
    size_t errors = 0;
    for (uint64_t nth = 1; nth <= calls + 3; ++nth) {
      emulator()->fail("*", nth, status, 0);
      std::string code;
      try {
        // What a failed call does not stop must be right all the same.
        if (!work()) code = "wrong numbers";
      } catch (const Error& error) {
        code = error.code();
        ++errors;
      }
      emulator()->fail_none();
      release_context();
      const std::string where = " at call " + std::to_string(nth) + " with status " + std::to_string(status);
      if (code != "" && code != "ERR_OUT_OF_MEMORY" && code != "ERR_DEVICE_UNAVAILABLE" &&
          code != "ERR_DEVICE_LOST" && code != "ERR_INTERNAL")
        test::fail(__FILE__, __LINE__, "code " + code + where);
      if (emulator()->leaks() != 0) test::fail(__FILE__, __LINE__, "a leak" + where);
    }
    CHECK(errors > calls / 3);
    emulator()->reset();
    CHECK(work());
    CHECK(emulator()->violations() == 0);
  }
}

TEST(faults_a_driver_that_has_what_is_called_will_do) {
  if (emulator() == nullptr) return;
  const auto before = std::make_unique<cuda::DriverApi>(cuda::driver_api());
  cuda::DriverApi api = *before;
#define TR0N_CUDA_FUNCTION(name, parameters) \
  if (!cuda::needed(#name) && std::string(#name) != "cuGraphInstantiateWithFlags") api.name = nullptr;
  TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
  cuda::inject(api);
  CHECK(cuda::library().usable && work());
  api.cuStreamSynchronize = nullptr;
  cuda::inject(api);
  CHECK(!cuda::library().usable);
  CHECK(cuda::library().problem.find("lacks cuStreamSynchronize") != std::string::npos);
  cuda::inject(*before);
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
}

TEST(faults_what_kernels_use_is_not_let_go_under_them) {
  if (emulator() == nullptr) return;
  uint64_t before = 0;
  {
    const auto device = cuda::cuda_device(0);
    Buffer<float> in(*device, kComputed), out(*device, kComputed);
    in.fill(2);
    probe(*device, out.data(), in.data());
    before = emulator()->calls("cuStreamSynchronize");
  }
  // Before page-locked memory, modules and graphs go, and once more before the memory.
  CHECK(emulator()->calls("cuStreamSynchronize") == before + 2);
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
}
