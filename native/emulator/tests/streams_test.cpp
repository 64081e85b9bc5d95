#include <cstring>

#include "emulator/tests/device.h"

// Streams in the most unkind order that the driver's rules allow: nothing is done before somebody waits for
// it, and then only what that waits for.
namespace tr0n::emulator::test {
namespace {

struct Streams {
  Device device;
  CUstream one = nullptr, two = nullptr;
  CUevent event = nullptr;
  float* pinned = nullptr;
  bool lost = false;  ///< the device: nothing can be given back, its context's end takes all

  explicit Streams(unsigned flags = CU_STREAM_NON_BLOCKING) {
    CHECK(cuStreamCreate(&one, flags) == CUDA_SUCCESS && cuStreamCreate(&two, flags) == CUDA_SUCCESS);
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
    CHECK(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 64, 0) == CUDA_SUCCESS);
    std::fill_n(pinned, 16, -1.0f);
  }
  ~Streams() {
    if (lost) return;
    CHECK(cuMemFreeHost(pinned) == CUDA_SUCCESS && cuEventDestroy_v2(event) == CUDA_SUCCESS);
    CHECK(cuStreamDestroy_v2(one) == CUDA_SUCCESS && cuStreamDestroy_v2(two) == CUDA_SUCCESS);
  }
  /// Four floats of `value`, by one memset.
  void set(CUdeviceptr to, float value, CUstream stream) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    CHECK(cuMemsetD32Async(to, bits, 4, stream) == CUDA_SUCCESS);
  }
};

}  // namespace

TEST(streams_do_only_what_is_waited_for) {
  Streams s;
  const CUdeviceptr data = s.device.upload(std::vector<float>(4, 1.0f));
  s.set(data, 2, s.one);
  CHECK(cuMemcpyDtoHAsync_v2(s.pinned, data, 16, s.two) == CUDA_SUCCESS);
  // Without an event the second stream sees what was there before.
  CHECK(cuStreamSynchronize(s.two) == CUDA_SUCCESS && s.pinned[0] == 1);
  CHECK(cuStreamQuery(s.one) == CUDA_ERROR_NOT_READY && cuStreamQuery(s.one) == CUDA_SUCCESS);
  // A blocking copy waits for no stream that does not block.
  s.set(data, 3, s.one);
  CHECK(s.device.download<float>(data, 4)[0] == 2);
  CHECK(cuCtxSynchronize() == CUDA_SUCCESS);
  CHECK(s.device.download<float>(data, 4)[0] == 3);
  // What reads late reads what somebody wrote since: a write that does not wait for it.
  CHECK(cuMemcpyDtoHAsync_v2(s.pinned, data, 16, s.one) == CUDA_SUCCESS);
  s.set(data, 4, s.two);
  CHECK(cuStreamSynchronize(s.two) == CUDA_SUCCESS && cuStreamSynchronize(s.one) == CUDA_SUCCESS);
  CHECK(s.pinned[0] == 4);
}

TEST(streams_wait_for_events) {
  Streams s;
  const CUdeviceptr data = s.device.upload(std::vector<float>(4, 1.0f));
  s.set(data, 2, s.one);
  CHECK(cuEventRecord(s.event, s.one) == CUDA_SUCCESS);
  s.set(data, 3, s.one);
  CHECK(cuStreamWaitEvent(s.two, s.event, 0) == CUDA_SUCCESS);
  CHECK(cuMemcpyDtoHAsync_v2(s.pinned, data, 16, s.two) == CUDA_SUCCESS);
  // Up to the event, and not further.
  CHECK(cuStreamSynchronize(s.two) == CUDA_SUCCESS && s.pinned[0] == 2);
  // A wait is for what the event was recorded behind when it was called for, whatever is recorded later.
  s.set(data, 5, s.one);
  CHECK(cuEventRecord(s.event, s.one) == CUDA_SUCCESS &&
        cuStreamWaitEvent(s.two, s.event, 0) == CUDA_SUCCESS);
  s.set(data, 6, s.one);
  CHECK(cuEventRecord(s.event, s.one) == CUDA_SUCCESS);
  CHECK(cuMemcpyDtoHAsync_v2(s.pinned, data, 16, s.two) == CUDA_SUCCESS);
  CHECK(cuStreamSynchronize(s.two) == CUDA_SUCCESS && s.pinned[0] == 5);
  CHECK(cuEventQuery(s.event) == CUDA_ERROR_NOT_READY);
  CHECK(cuEventSynchronize(s.event) == CUDA_SUCCESS && cuEventQuery(s.event) == CUDA_SUCCESS);
  // An event of a stream that is gone.
  CUstream third = nullptr;
  CHECK(cuStreamCreate(&third, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
  s.set(data, 7, third);
  CHECK(cuEventRecord(s.event, third) == CUDA_SUCCESS && cuStreamDestroy_v2(third) == CUDA_SUCCESS);
  CHECK(cuStreamWaitEvent(s.two, s.event, 0) == CUDA_SUCCESS && cuEventSynchronize(s.event) == CUDA_SUCCESS);
  CHECK(cuMemcpyDtoHAsync_v2(s.pinned, data, 16, s.two) == CUDA_SUCCESS);
  CHECK(cuStreamSynchronize(s.two) == CUDA_SUCCESS && s.pinned[0] == 7);
}

TEST(streams_that_block_are_ordered_by_the_default_stream) {
  Streams s(CU_STREAM_DEFAULT);
  const CUdeviceptr data = s.device.upload(std::vector<float>(4, 1.0f));
  s.set(data, 2, s.one);
  CHECK(s.device.download<float>(data, 4)[0] == 2);
  s.set(data, 3, nullptr);
  CHECK(cuMemcpyDtoHAsync_v2(s.pinned, data, 16, s.two) == CUDA_SUCCESS);
  CHECK(cuStreamSynchronize(s.two) == CUDA_SUCCESS && s.pinned[0] == 3);
}

TEST(streams_all_at_once_keep_the_order_of_each) {
  Streams s;
  const CUdeviceptr data = s.device.upload(std::vector<float>(64, 0.0f));
  for (int k = 1; k <= 40; ++k) {
    s.set(data, static_cast<float>(k), s.one);
    s.set(data + 16, static_cast<float>(-k), s.two);
    if (k == 20) {
      CHECK(cuEventRecord(s.event, s.two) == CUDA_SUCCESS &&
            cuStreamWaitEvent(s.one, s.event, 0) == CUDA_SUCCESS);
      CHECK(cuMemcpyDtoDAsync_v2(data + 32, data + 16, 16, s.one) == CUDA_SUCCESS);
    }
  }
  CHECK(cuCtxSynchronize() == CUDA_SUCCESS);
  const std::vector<float> seen = s.device.download<float>(data, 12);
  CHECK(seen[0] == 40 && seen[4] == -40 && seen[8] <= -20);
}

TEST(streams_do_the_work_of_doubles) {
  Streams s;
  const CUdeviceptr data = s.device.upload(std::vector<float>(4, 3.0f));
  struct Double {
    CUdeviceptr data;
    int status = 0, ran = 0, dropped = 0;
  } stand_in{data};
  const auto run = [](void* user) -> int {
    auto& self = *static_cast<Double*>(user);
    ++self.ran;
    float values[4];
    if (const int status = tr0n_emulator_peek(values, self.data, 16)) return status;
    for (float& value : values) value *= 2;
    const int status = tr0n_emulator_poke(self.data, values, 16);
    return status != 0 ? status : self.status;
  };
  const auto drop = [](void* user) { ++static_cast<Double*>(user)->dropped; };
  tr0n_emulator_reset();
  CHECK(tr0n_emulator_enqueue(s.one, "double", run, drop, &stand_in) == CUDA_SUCCESS);
  CHECK(stand_in.ran == 0 && stand_in.dropped == 0);
  CHECK(cuStreamSynchronize(s.one) == CUDA_SUCCESS && stand_in.ran == 1 && stand_in.dropped == 1);
  CHECK(s.device.download<float>(data, 4)[0] == 6);
  CHECK_SAYING(
      std::strcmp(tr0n_emulator_traffic(),
                  "{\"toDevice\":0,\"toHost\":16,\"withinDevice\":0,\"peeked\":16,\"poked\":16}") == 0,
      tr0n_emulator_traffic());
  CHECK(tr0n_emulator_enqueue(reinterpret_cast<void*>(0x1234), "double", run, drop, &stand_in) ==
        CUDA_ERROR_INVALID_HANDLE);
  CHECK(stand_in.dropped == 2);
  // Not its memory.
  stand_in.data = data + 4;
  CHECK(tr0n_emulator_enqueue(s.one, "double", run, drop, &stand_in) == CUDA_SUCCESS);
  CHECK(cuStreamSynchronize(s.one) == CUDA_ERROR_ILLEGAL_ADDRESS && stand_in.dropped == 3);
  CHECK(contains(report(), "out-of-bounds"));
  s.lost = true;
}

TEST(streams_lose_their_device_on_demand) {
  Streams s;
  const CUdeviceptr data = s.device.upload(std::vector<float>(4, 1.0f));
  tr0n_emulator_fail("*", 1000000, CUDA_ERROR_UNKNOWN, 0);  // counts calls, not work
  tr0n_emulator_fail("@work", 3, CUDA_ERROR_LAUNCH_FAILED, 0);
  for (int k = 1; k <= 4; ++k) s.set(data, static_cast<float>(k), s.one);
  CHECK(cuStreamSynchronize(s.one) == CUDA_ERROR_LAUNCH_FAILED);
  CHECK(cuMemcpyDtoH_v2(s.pinned, data, 16) == CUDA_ERROR_LAUNCH_FAILED);
  tr0n_emulator_fail_none();
  s.lost = true;
}

}  // namespace tr0n::emulator::test
