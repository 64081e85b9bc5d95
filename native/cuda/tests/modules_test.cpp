#include <string>
#include <vector>

#include "cuda/device.h"
#include "cuda/entries.h"
#include "cuda/tests/emulator.h"
#include "device/buffer.h"
#include "tests/check.h"

using namespace tr0n;
using test::emulator;

namespace {

float probed(cuda::CudaDevice& device) {
  Buffer<float> in(device, 32), out(device, 32);
  in.fill(5);
  device.queue().launch({"tr0n_probe", {1}, {32}}, out.data(), static_cast<const float*>(in.data()), 2.0f,
                        32u);
  float value = 0;
  out.download(&value, 1, 31);
  return value;
}

}  // namespace

TEST(modules_the_best_image_comes_first) {
  for (const int capability : {75, 80, 86, 89, 90, 100, 103, 120, 121, 130}) {
    const auto list = cuda::candidates("probe", capability);
    CHECK(!list.empty());
    bool ptx = false;
    int last = capability;
    for (const cuda::Image& image : list) {
      CHECK(std::string(image.file) == "probe" && image.architecture <= capability);
      if (!image.machine_code && !ptx) {
        ptx = true;
        last = capability;
      }
      CHECK(image.machine_code == !ptx);
      CHECK(ptx || image.architecture / 10 == capability / 10);
      CHECK(image.architecture <= last);
      last = image.architecture;
    }
    CHECK(ptx && list.back().architecture == 75);
  }
  CHECK(cuda::candidates("probe", 70).empty() && cuda::candidates("nothing", 90).empty());
}

TEST(modules_parameters_are_read_from_ptx) {
  const auto found = cuda::entries_of("file", R"(
.version 7.0
.target sm_80
.visible .entry none()
{ ret; }
.visible .entry bare
{ ret; }
.visible .entry many(
	.param .u64 .ptr .global .align 4 many_param_0,
	.param .align 8 .b8 many_param_1[40],
	.param .f32 many_param_2,
	.param .u16 many_param_3,
	.param .align 1 .b8 many_param_4[3],
	.param .f64 many_param_5
)
.maxntid 256, 1, 1
{ ret; }
)");
  CHECK(found.size() == 3 && found.at("none").parameters.empty() && found.at("bare").parameters.empty());
  CHECK((found.at("many").parameters == std::vector<size_t>{8, 40, 4, 2, 3, 8}) &&
        found.at("many").file == "file");
  CHECK((cuda::entries().at("tr0n_probe").parameters == std::vector<size_t>{8, 8, 4, 4}));
}

TEST(modules_fall_back_to_ptx_where_machine_code_is_refused) {
  if (emulator() == nullptr) return;
  for (const auto& [capability, expected] :
       {std::pair{75, "compute_75 (PTX)"}, std::pair{86, "compute_80 (PTX)"},
        std::pair{120, "compute_80 (PTX)"}}) {
    emulator()->configure("sm", capability);
    const auto device = cuda::cuda_device(0);
    CHECK(device->queue().compute_capability() == capability);
    CHECK(probed(*device) == 15);
    CHECK(device->queue().loaded().at("probe") == expected);
  }
  emulator()->configure("sm", 90);
}

TEST(modules_take_older_ptx_where_a_driver_does_not_know_the_newer) {
  if (emulator() == nullptr) return;
  emulator()->configure("driver_version", 10020);  // PTX 6.5
  const auto device = cuda::cuda_device(0);
  CHECK(probed(*device) == 15 && device->queue().loaded().at("probe") == "compute_75 (PTX)");
  emulator()->configure("driver_version", 13000);
}

TEST(modules_say_what_was_tried) {
  if (emulator() == nullptr) return;
  const auto list = cuda::candidates("probe", 90);
  uint64_t machine_code = 0;
  for (const cuda::Image& image : list) machine_code += image.machine_code ? 1 : 0;
  emulator()->fail("cuModuleLoadDataEx", machine_code + 1, cuda::CUDA_ERROR_INVALID_PTX, 1);
  std::string message;
  try {
    probed(*cuda::cuda_device(0));
  } catch (const Error& error) {
    CHECK(error.code() == "ERR_DEVICE_UNAVAILABLE");
    message = error.what();
  }
  emulator()->fail_none();
  for (const char* part : {"cuda:0", "probe.cu", "compute_80 (PTX): CUDA_ERROR_INVALID_PTX",
                           "compute_75 (PTX): CUDA_ERROR_INVALID_PTX"})
    CHECK(message.find(part) != std::string::npos);
  if (machine_code > 0) {
    CHECK(message.find("sm_90: CUDA_ERROR_NO_BINARY_FOR_GPU") != std::string::npos);
    CHECK(message.find("the emulator executes PTX only") != std::string::npos);  // what the driver's log says
  }
  CHECK(probed(*cuda::cuda_device(0)) == 15);
}

TEST(modules_a_device_that_is_too_old_is_refused) {
  if (emulator() == nullptr) return;
  emulator()->configure("sm", 70);
  CHECK_CODE("ERR_DEVICE_UNAVAILABLE", cuda::cuda_device(0));
  emulator()->configure("sm", 90);
  CHECK_CODE("ERR_DEVICE_UNAVAILABLE", cuda::cuda_device(1));
  CHECK_CODE("ERR_DEVICE_UNAVAILABLE", cuda::cuda_device(-1));
  emulator()->configure("devices", 2);
  CHECK(std::string(cuda::cuda_device(1)->name()) == "cuda:1" && probed(*cuda::cuda_device(1)) == 15);
  emulator()->configure("devices", 0);
  CHECK_CODE("ERR_DEVICE_UNAVAILABLE", cuda::cuda_device(0));
  emulator()->configure("devices", 1);
}
