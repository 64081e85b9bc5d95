/// Runs training steps and sampler updates on the driver emulator and prints what each kernel did, as JSON:
/// npm run cuda:profile makes a table of it. TR0N_CUDA_DRIVER must name the emulator.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "cuda/device.h"
#include "cuda/library.h"
#include "selftest/profile/workloads.h"

namespace {

using namespace tr0n;
using namespace tr0n::selftest;

constexpr const char* kUsage =
    "usage: cuda-profile [--batch N]… [--precision fp32|tf32]… [--hidden N] [--chains N]\n"
    "  --batch N      a training step with this many pairs (16, 256 and 2048); 0: none\n"
    "  --precision P  only with these; none: both\n"
    "  --hidden N     the translator's hidden width (2048)\n"
    "  --chains N     chains of the sampler updates (1024); 0: none\n";

/// The emulator's own functions (emulator/emulator.h).
struct Emulator {
  const char* (*counters)() = nullptr;
  void (*reset)() = nullptr;
  int (*configure)(const char*, long long) = nullptr;

  bool find() {
    void* handle = dlopen(cuda::library().path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (handle == nullptr) return false;
    counters = reinterpret_cast<const char* (*)()>(dlsym(handle, "tr0n_emulator_counters"));
    reset = reinterpret_cast<void (*)()>(dlsym(handle, "tr0n_emulator_reset"));
    configure = reinterpret_cast<int (*)(const char*, long long)>(dlsym(handle, "tr0n_emulator_configure"));
    return counters != nullptr && reset != nullptr && configure != nullptr;
  }
};

void print(const Emulator& emulator, Device& device, const Sizes& sizes, const Workload& workload,
           bool first) {
  std::string counters;
  double seconds = 0;
  workload.run(device, [&](const std::function<void()>& calls) {
    char byte = 0;
    void* probe = device.allocate(1);
    emulator.reset();
    const auto begin = std::chrono::steady_clock::now();
    calls();
    device.download(&byte, probe, 1);  // waits
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    counters = emulator.counters();
    device.release(probe);
  });
  std::printf(
      "%s{\"name\":\"%s\",\"rows\":%zu,\"precision\":\"%s\",\"hidden\":%zu,\"parameters\":%zu,"
      "\"emulatedSeconds\":%.3f,"
      "\"counters\":%s}",
      first ? "" : ",\n", workload.name.c_str(), workload.rows,
      workload.precision == Precision::tf32 ? "tf32" : "fp32", sizes.hidden, workload.parameters, seconds,
      counters.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Sizes sizes;
  size_t chain_count = 1024;
  std::vector<size_t> batches;
  std::vector<Precision> precisions;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    const size_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--batch" && !value.empty())
      batches.push_back(number);
    else if (name == "--hidden" && number > 0)
      sizes.hidden = number;
    else if (name == "--chains" && !value.empty())
      chain_count = number;
    else if (name == "--precision" && (value == "fp32" || value == "tf32"))
      precisions.push_back(value == "tf32" ? Precision::tf32 : Precision::fp32);
    else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  if (batches.empty()) batches = {16, 256, 2048};
  if (precisions.empty()) precisions = {Precision::fp32, Precision::tf32};
  try {
    const std::shared_ptr<cuda::CudaDevice> device = cuda::cuda_device(0);
    Emulator emulator;
    if (!emulator.find()) {
      std::fputs("cuda-profile counts on the emulator: TR0N_CUDA_DRIVER must name it\n", stderr);
      return 3;
    }
    // Checks are the tests' business; without them it is twice as fast.
    emulator.configure("races", 0);
    emulator.configure("initialised", 0);
    bool first = true;
    std::printf("{\"workloads\":[\n");
    for (const size_t batch : batches)
      for (const Precision precision : precisions) {
        if (batch == 0) continue;
        print(emulator, *device, sizes, training_step(sizes, batch, precision), first);
        first = false;
      }
    for (const Workload& workload :
         chain_count > 0 ? sampler_updates(sizes, chain_count) : std::vector<Workload>()) {
      print(emulator, *device, sizes, workload, first);
      first = false;
    }
    std::printf("]}\n");
  } catch (const Error& error) {
    std::fprintf(stderr, "cuda-profile: %s\n", error.what());
    return 3;
  }
  return 0;
}
