#include <vector>

#include "cuda/device.h"
#include "cuda/tests/emulator.h"
#include "device/buffer.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

/// out = factor·in + neighbour, through scratch memory.
void twice(const cuda::Queue& queue, float* out, const float* in, unsigned n) {
  const cuda::Workspace scratch = queue.workspace(n * sizeof(float));
  queue.launch({"tr0n_probe", {(n + 63) / 64}, {64}}, scratch.as<float>(), in, 2.0f, n);
  queue.launch({"tr0n_probe", {(n + 63) / 64}, {64}}, out, static_cast<const float*>(scratch.as<float>()),
               1.0f, n);
}

}  // namespace

TEST(recording_replays_on_what_the_memory_holds) {
  const auto device = cuda::cuda_device(0);
  const unsigned n = 100000;  // scratch memory beyond the smallest
  Buffer<float> in(*device, n), out(*device, n);
  const auto expected = [](float x, float y) { return 2 * x + y + (2 * y + x); };
  const auto check = [&](const std::vector<float>& values) {
    std::vector<float> result(n);
    out.download(result.data(), n);
    size_t wrong = 0;
    for (size_t i = 0; i < n; ++i) wrong += result[i] == expected(values[i], values[i ^ 1]) ? 0 : 1;
    CHECK(wrong == 0);
  };
  std::vector<float> values(n, 1.0f);
  in.upload(values.data(), n);
  int calls = 0;
  const auto recording = device->record([&] {
    ++calls;
    twice(device->queue(), out.data(), in.data(), n);
  });
  CHECK(recording != nullptr);
  CHECK(calls == 2);
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>((i * 7 + static_cast<size_t>(round)) % 100);
    in.upload(values.data(), n);
    recording->replay();
    check(values);
    // Other calls between replays, with scratch memory of their own that grows.
    in.upload(values.data(), n);
    const cuda::Workspace grown =
        device->queue().workspace((size_t{1} << 20) * static_cast<size_t>(round + 1));
    device->queue().zero(grown.as<float>(), 1000);
  }
}

TEST(recording_refuses_copies_and_survives_what_is_thrown) {
  const auto device = cuda::cuda_device(0);
  Buffer<float> values(*device, 64);
  values.fill(0);
  float host[64] = {};
  CHECK_CODE("ERR_INTERNAL", device->record([&] { values.upload(host, 64); }));
  CHECK_CODE("ERR_INTERNAL", device->record([&] { values.download(host, 64); }));
  CHECK_CODE("ERR_INTERNAL", device->record([&] { Buffer<float> more(*device, 1); }));
  int call = 0;
  CHECK_CODE("ERR_DIVERGED", device->record([&] {
    twice(device->queue(), values.data(), values.data(), 64);
    if (++call == 2) throw Error("ERR_DIVERGED", "in the capture");
  }));
  values.download(host, 64);
  CHECK(host[3] == 0);
}

TEST(recording_is_done_without_where_the_driver_refuses_a_launch) {
  if (tr0n::test::emulator() == nullptr) return;
  const auto device = cuda::cuda_device(0);
  Buffer<float> values(*device, 64);
  values.fill(1);
  const auto calls = [&] { twice(device->queue(), values.data(), values.data(), 64); };
  for (const cuda::CUresult refused :
       {cuda::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuda::CUDA_ERROR_NOT_SUPPORTED}) {
    tr0n::test::emulator()->fail("cuLaunch*", 1, refused, 0);
    CHECK(device->record(calls) == nullptr);
    tr0n::test::emulator()->fail_none();
  }
  float host[64] = {};
  values.download(host, 64);
  CHECK(host[3] == 1);
  const auto recording = device->record(calls);
  CHECK(recording != nullptr);
  recording->replay();
  values.download(host, 64);
  CHECK(host[3] != 1);
}

TEST(recording_leaves_nothing_behind) {
  CHECK(tr0n::test::emulator() == nullptr || tr0n::test::emulator()->leaks() == 0);
  CHECK(tr0n::test::emulator() == nullptr || tr0n::test::emulator()->violations() == 0);
}
