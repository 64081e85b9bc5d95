#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "cuda/device.h"
#include "cuda/tests/emulator.h"
#include "device/buffer.h"
#include "tests/check.h"

using namespace tr0n;
using test::emulator;

namespace {

/// Copies of every size there and back, with the source overwritten at once.
bool copies(Device& device, size_t seed) {
  for (const size_t size : {size_t{1}, size_t{63}, size_t{262144}, size_t{262145}, size_t{1500000}}) {
    std::vector<float> values(size), result(size);
    for (size_t i = 0; i < size; ++i) values[i] = static_cast<float>(i * 31 + seed);
    const std::vector<float> expected = values;
    Buffer<float> memory(device, size);
    memory.upload(values.data(), size);
    std::fill(values.begin(), values.end(), -1.0f);
    if (size > 1) memory.upload(values.data(), 1, size / 2);
    Buffer<float> copy(device, size);
    device.copy(copy.data(), memory.data(), size * sizeof(float));
    memory.fill(0);
    copy.download(result.data(), size);
    for (size_t i = 0; i < size; ++i)
      if (result[i] != (size > 1 && i == size / 2 ? -1 : expected[i])) return false;
  }
  return true;
}

}  // namespace

TEST(memory_copies_keep_their_values) { CHECK(copies(*cuda::cuda_device(0), 1)); }

TEST(memory_many_small_uploads_share_page_locked_memory) {
  const auto device = cuda::cuda_device(0);
  constexpr size_t count = 50000;
  Buffer<float> memory(*device, count);
  for (size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(i);
    memory.upload(&value, 1, i);
  }
  std::vector<float> result(count);
  memory.download(result.data(), count);
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) wrong += result[i] == static_cast<float>(i) ? 0 : 1;
  CHECK(wrong == 0);
}

TEST(memory_several_threads_use_one_device) {
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  const auto device = cuda::cuda_device(0);
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      try {
        right += copies(*device, 100 * t) ? 1 : 0;
      } catch (const Error& error) {
        std::printf("%s\n", error.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 4);
}

TEST(memory_without_the_drivers_pool) {
  if (emulator() == nullptr) return;
  const auto before = std::make_unique<cuda::DriverApi>(cuda::driver_api());
  cuda::DriverApi api = *before;
  api.cuMemAllocAsync = nullptr;
  cuda::inject(api);
  {
    const auto device = cuda::cuda_device(0);
    CHECK(copies(*device, 3));
    // What was released serves again: as large, or not much smaller.
    float* first = nullptr;
    {
      Buffer<float> a(*device, 1000);
      first = a.data();
    }
    Buffer<float> b(*device, 900), c(*device, 900), d(*device, 100);
    CHECK(b.data() == first && c.data() != first && d.data() != first);
    emulator()->configure("memory", 32 << 20);
    { Buffer<float> large(*device, 4 << 20); }
    Buffer<float> larger(*device, 5 << 20);  // only when what lies in the pool is given back
    CHECK_CODE("ERR_OUT_OF_MEMORY", Buffer<float>(*device, 16 << 20));
    emulator()->configure("memory", int64_t{8} << 30);
  }
  cuda::inject(*before);
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
}
