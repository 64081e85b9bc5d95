#include <string>
#include <vector>

#include "cuda/device.h"
#include "cuda/kernels.h"
#include "device/buffer.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Where nothing runs: what was launched, and over how many rows where that is the second argument.
class WrittenQueue final : public cuda::Queue {
 public:
  cuda::Workspace workspace(size_t) const override { return {nullptr, {}}; }
  void zero(void*, size_t) const override {}
  int compute_capability() const override { return 80; }
  int multiprocessors() const override { return 4; }
  size_t max_shared_bytes() const override { return 49152; }
  int resident_blocks(const char*, unsigned, unsigned) const override { return 1; }
  mutable std::vector<cuda::Launch> launches;
  mutable std::vector<size_t> rows;

 private:
  void submit(const cuda::Launch& shape, const void* const* values, const size_t* sizes,
              size_t count) const override {
    launches.push_back(shape);
    if (count > 1 && sizes[1] == sizeof(size_t)) rows.push_back(*static_cast<const size_t*>(values[1]));
  }
};

}  // namespace

TEST(launch_runs_a_kernel_with_its_arguments) {
  const auto device = cuda::cuda_device(0);
  CHECK(std::string(device->name()) == "cuda:0");
  for (const size_t n : {size_t{1}, size_t{33}, size_t{100000}, size_t{3000001}}) {
    std::vector<float> values(n), result(n);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 1000);
    Buffer<float> in(*device, n), out(*device, n);
    in.upload(values.data(), n);
    device->queue().launch({"tr0n_probe", {static_cast<unsigned>((n + 127) / 128)}, {128}}, out.data(),
                           static_cast<const float*>(in.data()), 3.0f, static_cast<unsigned>(n));
    out.download(result.data(), n);
    size_t wrong = 0;
    for (size_t i = 0; i < n; ++i) {
      const size_t partner = i ^ 1;
      wrong += result[i] == 3 * values[i] + (partner < n ? values[partner] : 0) ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}

TEST(launch_refuses_what_does_not_fit_the_kernel) {
  const auto device = cuda::cuda_device(0);
  const cuda::Queue& queue = device->queue();
  float* none = nullptr;
  CHECK_CODE("ERR_INTERNAL", queue.launch({"tr0n_probe", {1}, {32}}, none, none, 3.0f));
  CHECK_CODE("ERR_INTERNAL", queue.launch({"tr0n_probe", {1}, {32}}, none, none, 3.0, 1u));
  CHECK_CODE("ERR_DEVICE_UNAVAILABLE", queue.launch({"nothing", {1}, {32}}));
  queue.launch({"tr0n_probe", {0}, {32}}, none, none, 3.0f, 1u);  // an empty grid: nothing to do
  const std::string text = message_of([&] {
    queue.launch({"tr0n_probe", {1}, {2048}}, none, none, 3.0f, 1u);
  });
  CHECK(text.find("cuLaunchKernel") != std::string::npos && text.find("tr0n_probe") != std::string::npos &&
        text.find("CUDA_ERROR_INVALID_VALUE") != std::string::npos);
}

TEST(launch_covariance_noise_of_many_conditions_keeps_within_a_grid) {
  constexpr size_t n = 2'500'000;
  const WrittenQueue queue;
  const ConditionNoise noise{ConditionNoiseKind::covariance, 0, nullptr, n, 40, nullptr, 0, Philox(1)};
  cuda::make_condition_kernels(queue)->noise(noise);
  size_t rows = 0;
  for (size_t i = 0; i < queue.launches.size(); ++i) {
    CHECK(queue.launches[i].grid.y <= 0xFFFF && queue.launches[i].grid.x == 2);
    CHECK(size_t{16} * queue.launches[i].grid.y >= queue.rows[i]);
    rows += queue.rows[i];
  }
  CHECK(queue.launches.size() == 3 && rows == n);
}
