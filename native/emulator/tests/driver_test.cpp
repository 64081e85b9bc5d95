#include <cstring>

#include "emulator/tests/device.h"

// The driver API around the kernels: contexts, streams, events, graphs, images, faults.
namespace tr0n::emulator::test {
namespace {

const char* const kText = R"(
.visible .entry scale(.param .u64 data, .param .f32 factor, .param .u32 n)
{
.reg .pred %p;
.reg .f32 %x, %f;
.reg .b32 %t, %n, %r<3>;
.reg .b64 %d;
mov.u32 %r0, %ctaid.x;
mov.u32 %r1, %ntid.x;
mov.u32 %r2, %tid.x;
mad.lo.u32 %t, %r0, %r1, %r2;
ld.param.u32 %n, [n];
setp.ge.u32 %p, %t, %n;
@%p bra end;
ld.param.u64 %d, [data];
ld.param.f32 %f, [factor];
mad.wide.u32 %d, %t, 4, %d;
ld.global.f32 %x, [%d];
mul.f32 %x, %x, %f;
st.global.f32 [%d], %x;
end:
ret;
}
)";

struct Scale {
  CUfunction function = nullptr;
  CUresult operator()(CUdeviceptr data, float factor, uint32_t n, CUstream stream,
                      unsigned block = 64) const {
    void* parameters[] = {&data, &factor, &n};
    return cuLaunchKernel(function, (n + 63) / 64, 1, 1, block, 1, 1, 0, stream, parameters, nullptr);
  }
};

Scale scale(Device& device) {
  Scale kernel;
  CHECK(cuModuleGetFunction(&kernel.function, device.load(header() + kText), "scale") == CUDA_SUCCESS);
  return kernel;
}

}  // namespace

TEST(driver_work_is_done_when_it_is_awaited) {
  Device device;
  const Scale kernel = scale(device);
  const CUdeviceptr data = device.upload(std::vector<float>(100, 1.0f));
  CUstream stream = nullptr;
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
  float* pinned = nullptr;
  CHECK(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 400, 0) == CUDA_SUCCESS);
  pinned[7] = -1;
  CHECK(kernel(data, 3, 100, stream) == CUDA_SUCCESS);
  CHECK(cuMemcpyDtoHAsync_v2(pinned, data, 400, stream) == CUDA_SUCCESS);
  CHECK(pinned[7] == -1);  // nobody waited
  CHECK(cuStreamQuery(stream) == CUDA_ERROR_NOT_READY);
  CHECK(cuStreamSynchronize(stream) == CUDA_SUCCESS);
  CHECK(pinned[7] == 3);
  CHECK(cuStreamQuery(stream) == CUDA_SUCCESS);
  // What a page-locked source holds when the copy is done counts, of other memory what it held at the call.
  float ordinary[100];
  std::fill_n(ordinary, 100, 5.0f);
  std::fill_n(pinned, 100, 6.0f);
  CUdeviceptr other = 0;
  CHECK(cuMemAllocAsync(&other, 400, stream) == CUDA_SUCCESS);
  CHECK(cuMemcpyHtoDAsync_v2(data, ordinary, 400, stream) == CUDA_SUCCESS);
  CHECK(cuMemcpyHtoDAsync_v2(other, pinned, 400, stream) == CUDA_SUCCESS);
  ordinary[0] = pinned[0] = 9;
  CHECK(cuStreamSynchronize(stream) == CUDA_SUCCESS);
  CHECK(device.download<float>(data, 1)[0] == 5 && device.download<float>(other, 1)[0] == 9);
  CHECK(cuMemFreeAsync(other, stream) == CUDA_SUCCESS);
  CHECK(cuMemFreeHost(pinned) == CUDA_SUCCESS);
  CHECK(cuStreamDestroy_v2(stream) == CUDA_SUCCESS);
}

TEST(driver_events) {
  Device device;
  const Scale kernel = scale(device);
  const CUdeviceptr data = device.upload(std::vector<float>(10, 1.0f));
  CUstream one = nullptr, two = nullptr;
  CUevent first = nullptr, last = nullptr;
  CHECK(cuStreamCreate(&one, 0) == CUDA_SUCCESS && cuStreamCreateWithPriority(&two, 0, -1) == CUDA_SUCCESS);
  CHECK(cuEventCreate(&first, 0) == CUDA_SUCCESS && cuEventCreate(&last, 0) == CUDA_SUCCESS);
  CHECK(cuEventRecord(first, one) == CUDA_SUCCESS);
  CHECK(kernel(data, 2, 10, one) == CUDA_SUCCESS);
  CHECK(cuEventRecord(last, one) == CUDA_SUCCESS);
  CHECK(cuEventQuery(last) == CUDA_ERROR_NOT_READY);
  float milliseconds = -1;
  CHECK(cuEventElapsedTime(&milliseconds, first, last) == CUDA_ERROR_NOT_READY);
  CHECK(cuStreamWaitEvent(two, last, 0) == CUDA_SUCCESS);
  CHECK(kernel(data, 5, 10, two) == CUDA_SUCCESS);
  CHECK(cuEventSynchronize(last) == CUDA_SUCCESS && cuEventQuery(last) == CUDA_SUCCESS);
  CHECK(cuEventElapsedTime(&milliseconds, first, last) == CUDA_SUCCESS && milliseconds >= 0);
  CHECK(device.download<float>(data, 10)[9] == 10);
  int polls = 0;
  CHECK(cuEventRecord(first, two) == CUDA_SUCCESS);
  while (cuEventQuery(first) == CUDA_ERROR_NOT_READY) ++polls;
  CHECK(polls > 0 && polls < 10);
  CHECK(cuEventDestroy_v2(first) == CUDA_SUCCESS && cuEventDestroy_v2(last) == CUDA_SUCCESS);
  CHECK(cuStreamDestroy_v2(one) == CUDA_SUCCESS && cuStreamDestroy_v2(two) == CUDA_SUCCESS);
}

TEST(driver_graphs) {
  Device device;
  const Scale kernel = scale(device);
  const CUdeviceptr data = device.upload(std::vector<float>(10, 1.0f)), copy = device.allocate(40);
  CUstream stream = nullptr, side = nullptr;
  CUevent fork = nullptr, join = nullptr;
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
        cuStreamCreate(&side, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
  CHECK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS &&
        cuEventCreate(&join, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS);
  CUgraph graph = nullptr;
  CUgraphExec executable = nullptr;
  size_t nodes = 0;
  CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) == CUDA_SUCCESS);
  CHECK(kernel(data, 2, 10, stream) == CUDA_SUCCESS);
  CHECK(cuEventRecord(fork, stream) == CUDA_SUCCESS && cuStreamWaitEvent(side, fork, 0) == CUDA_SUCCESS);
  CHECK(kernel(data, 3, 10, side) == CUDA_SUCCESS);
  CHECK(cuEventRecord(join, side) == CUDA_SUCCESS && cuStreamWaitEvent(stream, join, 0) == CUDA_SUCCESS);
  CHECK(cuMemcpyDtoDAsync_v2(copy, data, 40, stream) == CUDA_SUCCESS);
  CUstreamCaptureStatus capturing = CU_STREAM_CAPTURE_STATUS_NONE;
  CHECK(cuStreamIsCapturing(side, &capturing) == CUDA_SUCCESS &&
        capturing == CU_STREAM_CAPTURE_STATUS_ACTIVE);
  CHECK(cuStreamEndCapture(stream, &graph) == CUDA_SUCCESS);
  CHECK(cuGraphGetNodes(graph, nullptr, &nodes) == CUDA_SUCCESS && nodes == 3);
  CHECK(device.download<float>(data, 1)[0] == 1);  // nothing ran yet
  CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0) == CUDA_SUCCESS);
  CHECK(cuGraphDestroy(graph) == CUDA_SUCCESS);
  for (int k = 0; k < 3; ++k) CHECK(cuGraphLaunch(executable, stream) == CUDA_SUCCESS);
  CHECK(cuStreamSynchronize(stream) == CUDA_SUCCESS);
  CHECK(device.download<float>(copy, 10)[3] == 216);
  CHECK(cuGraphExecDestroy(executable) == CUDA_SUCCESS);

  // A stream that is not joined; a wait inside a capture; a capture that nobody began.
  CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
  CHECK(cuEventRecord(fork, stream) == CUDA_SUCCESS && cuStreamWaitEvent(side, fork, 0) == CUDA_SUCCESS);
  CHECK(kernel(data, 2, 10, side) == CUDA_SUCCESS);
  CHECK(cuStreamEndCapture(stream, &graph) == CUDA_ERROR_STREAM_CAPTURE_UNJOINED && graph == nullptr);
  CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
  CHECK(cuStreamSynchronize(stream) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK(cuStreamEndCapture(stream, &graph) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
  CUdeviceptr more = 0;
  CHECK(cuMemAlloc_v2(&more, 8) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK(cuStreamEndCapture(stream, &graph) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK(cuStreamEndCapture(stream, &graph) == CUDA_ERROR_ILLEGAL_STATE);
  CHECK(cuEventDestroy_v2(fork) == CUDA_SUCCESS && cuEventDestroy_v2(join) == CUDA_SUCCESS);
  CHECK(cuStreamDestroy_v2(stream) == CUDA_SUCCESS && cuStreamDestroy_v2(side) == CUDA_SUCCESS);
}

TEST(driver_images) {
  Device device;
  CUmodule module = nullptr;
  char elf[64] = "\177ELF";
  unsigned fat[4] = {0xBA55ED50, 0, 0, 0};
  CHECK(cuModuleLoadData(&module, elf) == CUDA_ERROR_NO_BINARY_FOR_GPU);
  CHECK(cuModuleLoadData(&module, fat) == CUDA_ERROR_NO_BINARY_FOR_GPU);
  CHECK(cuModuleLoadData(&module, "no image") == CUDA_ERROR_INVALID_IMAGE);
  CHECK(cuModuleLoadData(&module, "") == CUDA_ERROR_INVALID_IMAGE);
  CHECK(cuModuleLoadData(&module, (header(120) + kText).c_str()) == CUDA_ERROR_INVALID_PTX);
  CHECK(cuModuleLoadData(&module,
                         (".version 9.9\n.target sm_80\n.address_size 64\n" + std::string(kText)).c_str()) ==
        CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  tr0n_emulator_configure("driver_version", 12020);
  CHECK(cuModuleLoadData(&module,
                         (".version 9.0\n.target sm_80\n.address_size 64\n" + std::string(kText)).c_str()) ==
        CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  tr0n_emulator_configure("driver_version", 13000);
  tr0n_emulator_configure("sm", 75);
  CHECK(cuModuleLoadData(&module, (header(80) + kText).c_str()) == CUDA_ERROR_INVALID_PTX);
  CHECK(cuModuleLoadData(&module, (header(75) + kText).c_str()) == CUDA_SUCCESS);
  int major = 0, minor = 0;
  CHECK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0) == CUDA_SUCCESS &&
        major == 7);
  CHECK(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0) == CUDA_SUCCESS &&
        minor == 5);
  tr0n_emulator_configure("sm", 90);
  CUfunction function = nullptr;
  CHECK(cuModuleGetFunction(&function, module, "nothing") == CUDA_ERROR_NOT_FOUND);
  CHECK(cuModuleGetFunction(&function, module, "scale") == CUDA_SUCCESS);
  const char* name = nullptr;
  CHECK(cuFuncGetName(&name, function) == CUDA_SUCCESS && std::strcmp(name, "scale") == 0);
  CHECK(cuModuleUnload(module) == CUDA_SUCCESS);
  CHECK(cuModuleGetFunction(&function, module, "scale") == CUDA_ERROR_INVALID_HANDLE);
  CHECK(cuFuncGetName(&name, function) == CUDA_ERROR_INVALID_HANDLE);
}

TEST(driver_launch_limits) {
  Device device;
  const Scale kernel = scale(device);
  const CUdeviceptr data = device.upload(std::vector<float>(10, 1.0f));
  CHECK(kernel(data, 2, 10, nullptr, 1025) == CUDA_ERROR_INVALID_VALUE);
  CHECK(kernel(data, 2, 0, nullptr) == CUDA_ERROR_INVALID_VALUE);
  CHECK(kernel(data, 2, 10, reinterpret_cast<CUstream>(0x1234)) == CUDA_ERROR_INVALID_HANDLE);
  float factor = 2;
  uint32_t n = 10;
  CUdeviceptr pointer = data;
  void* parameters[] = {&pointer, &factor, &n};
  const auto with_shared = [&](unsigned bytes) {
    return cuLaunchKernel(kernel.function, 1, 1, 1, 64, 1, 1, bytes, nullptr, parameters, nullptr);
  };
  CHECK(with_shared(48 * 1024) == CUDA_SUCCESS);
  CHECK(with_shared(48 * 1024 + 16) == CUDA_ERROR_INVALID_VALUE);
  CHECK(cuFuncSetAttribute(kernel.function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 * 1024) ==
        CUDA_SUCCESS);
  CHECK(with_shared(100 * 1024) == CUDA_SUCCESS);
  CHECK(cuFuncSetAttribute(kernel.function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 228 * 1024) ==
        CUDA_ERROR_INVALID_VALUE);
  CHECK(cuCtxSynchronize() == CUDA_SUCCESS);
  struct {
    CUdeviceptr data;
    float factor;
    uint32_t n;
  } packed = {data, 3, 10};
  size_t size = sizeof packed;
  void* extra[] = {reinterpret_cast<void*>(1), &packed, reinterpret_cast<void*>(2), &size, nullptr};
  CHECK(cuLaunchKernel(kernel.function, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, extra) == CUDA_SUCCESS);
  CHECK(device.download<float>(data, 10)[9] == 12);
  int blocks = 0, block = 0;
  CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel.function, 256, 0) == CUDA_SUCCESS &&
        blocks >= 1 && blocks <= 8);
  CHECK(cuOccupancyMaxPotentialBlockSize(&blocks, &block, kernel.function, nullptr, 0, 0) == CUDA_SUCCESS &&
        block % 32 == 0 && block > 0);
}

TEST(driver_faults_on_demand) {
  Device device;
  CUdeviceptr pointer = 0;
  tr0n_emulator_fail("cuMemAlloc*", 2, CUDA_ERROR_OUT_OF_MEMORY, 0);
  const CUdeviceptr first = device.allocate(64);
  CHECK(first != 0);
  CHECK(cuMemAlloc_v2(&pointer, 64) == CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(device.allocate(64) != 0);
  tr0n_emulator_fail_none();
  const uint64_t before = tr0n_emulator_calls("cuCtx*");
  tr0n_emulator_fail("*", 3, CUDA_ERROR_DEVICE_UNAVAILABLE, 1);
  CUdevice ordinal = -1;
  CHECK(cuCtxGetDevice(&ordinal) == CUDA_SUCCESS && ordinal == 0);
  CHECK(cuCtxGetDevice(&ordinal) == CUDA_SUCCESS);
  CHECK(cuCtxGetDevice(&ordinal) == CUDA_ERROR_DEVICE_UNAVAILABLE);
  CHECK(cuCtxSynchronize() == CUDA_ERROR_DEVICE_UNAVAILABLE);
  CHECK(tr0n_emulator_calls("cuCtx*") == before + 4);
  tr0n_emulator_fail_none();
  CHECK(cuCtxSynchronize() == CUDA_SUCCESS);
  // The machine itself: no device, too little memory.
  tr0n_emulator_configure("devices", 0);
  CHECK(cuInit(0) == CUDA_ERROR_NO_DEVICE);
  tr0n_emulator_configure("devices", 1);
  CUcontext context = nullptr;
  CHECK(cuDevicePrimaryCtxRetain(&context, 1) == CUDA_ERROR_INVALID_DEVICE);
  tr0n_emulator_configure("memory", 1 << 20);
  CHECK(cuMemAlloc_v2(&pointer, 2 << 20) == CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(cuMemAlloc_v2(&pointer, 1 << 19) == CUDA_SUCCESS);
  size_t free_bytes = 0, total = 0;
  CHECK(cuMemGetInfo_v2(&free_bytes, &total) == CUDA_SUCCESS && total == 1 << 20 &&
        free_bytes == (1 << 19) - 128);
  CHECK(cuMemFree_v2(pointer) == CUDA_SUCCESS);
  tr0n_emulator_configure("memory", 8LL << 30);
}

TEST(driver_misuse) {
  {
    Device device;
    CUdeviceptr pointer = 0;
    CHECK(cuMemAlloc_v2(&pointer, 64) == CUDA_SUCCESS);
    CHECK(cuMemFree_v2(pointer) == CUDA_SUCCESS);
    CHECK(report().empty());
    CHECK(cuMemFree_v2(pointer) == CUDA_ERROR_INVALID_VALUE);
    CHECK(contains(report(), "\"kind\":\"double-free\",\"kernel\":\"cuMemFree\""));
    CHECK(cuMemFree_v2(pointer + 12345678) == CUDA_ERROR_INVALID_VALUE);
    CHECK(contains(report(), "invalid-call"));
    // Copies over an end, from freed memory, and of what nobody wrote.
    const CUdeviceptr data = device.allocate(64);
    char host[128] = {};
    CHECK(cuMemcpyHtoD_v2(data, host, 65) == CUDA_ERROR_INVALID_VALUE);
    CHECK(contains(report(), "out-of-bounds"));
    CHECK(cuMemcpyHtoD_v2(pointer, host, 8) == CUDA_ERROR_INVALID_VALUE);
    CHECK(contains(report(), "use-after-free"));
    CHECK(cuMemcpyHtoD_v2(data, host, 32) == CUDA_SUCCESS && report().empty());
    CHECK(cuMemcpyDtoH_v2(host, data, 33) == CUDA_SUCCESS);
    CHECK(contains(report(), "\"kind\":\"uninitialised\",\"kernel\":\"cuMemcpyDtoH\""));
  }
  {
    // Two allocations, a stream and an event are left behind.
    CUcontext context = nullptr;
    CHECK(cuDevicePrimaryCtxRetain(&context, 0) == CUDA_SUCCESS && cuCtxSetCurrent(context) == CUDA_SUCCESS);
    CUdeviceptr pointer = 0;
    CUstream stream = nullptr;
    CUevent event = nullptr;
    CHECK(cuMemAlloc_v2(&pointer, 64) == CUDA_SUCCESS && cuMemAlloc_v2(&pointer, 64) == CUDA_SUCCESS);
    CHECK(cuStreamCreate(&stream, 0) == CUDA_SUCCESS && cuEventCreate(&event, 0) == CUDA_SUCCESS);
    CHECK(tr0n_emulator_leaks() == 2);
    CHECK(contains(report(), "\"count\":2,"));
    CHECK(cuDevicePrimaryCtxRelease_v2(0) == CUDA_SUCCESS);
    CHECK(contains(report(), "\"count\":4,\"violations\":[{\"kind\":\"leak\""));
    CHECK(cuDevicePrimaryCtxRelease_v2(0) == CUDA_ERROR_INVALID_CONTEXT);
    CHECK(!report().empty());
    CHECK(cuMemAlloc_v2(&pointer, 64) == CUDA_ERROR_CONTEXT_IS_DESTROYED);
  }
}

TEST(driver_functions_by_name) {
  void* function = nullptr;
  CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SUCCESS;
  CHECK(cuGetProcAddress_v2("cuMemAlloc", &function, 12000, 0, &found) == CUDA_SUCCESS &&
        function == reinterpret_cast<void*>(&cuMemAlloc_v2));
  CHECK(cuGetProcAddress_v2("cuInit", &function, 2000, 0, nullptr) == CUDA_SUCCESS &&
        function == reinterpret_cast<void*>(&cuInit));
  CHECK(cuGetProcAddress_v2("cuNothing", &function, 12000, 0, &found) == CUDA_SUCCESS &&
        function == nullptr && found == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  CHECK(cuGetProcAddress_v2("cuInit", &function, 99000, 0, &found) == CUDA_SUCCESS &&
        found == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  const char* name = nullptr;
  CHECK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &name) == CUDA_SUCCESS &&
        std::strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
  CHECK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &name) == CUDA_SUCCESS &&
        std::strcmp(name, "out of memory") == 0);
}

TEST(driver_cooperative_blocks) {
  // Blocks that wait for each other: all have to be resident.
  const std::string text = header() + R"(
.global .align 4 .u32 arrived;
.visible .entry meet(.param .u64 out, .param .u32 blocks)
{
.reg .pred %p;
.reg .b32 %n, %r<4>;
.reg .b64 %o;
ld.param.u32 %n, [blocks];
atom.global.add.u32 %r0, [arrived], 1;
again:
ld.volatile.global.u32 %r1, [arrived];
setp.lt.u32 %p, %r1, %n;
@%p bra again;
mov.u32 %r2, %ctaid.x;
ld.param.u64 %o, [out];
mad.wide.u32 %o, %r2, 4, %o;
st.global.u32 [%o], %r1;
ret;
}
)";
  Device device;
  CUfunction function = nullptr;
  CHECK(cuModuleGetFunction(&function, device.load(text), "meet") == CUDA_SUCCESS);
  CUdeviceptr out = device.allocate(20 * 4);
  uint32_t blocks = 20;
  void* parameters[] = {&out, &blocks};
  CHECK(cuLaunchCooperativeKernel(function, 20, 1, 1, 1, 1, 1, 0, nullptr, parameters) == CUDA_SUCCESS);
  CHECK_SAYING(cuCtxSynchronize() == CUDA_SUCCESS, report());
  for (const uint32_t seen : device.download<uint32_t>(out, 20)) CHECK(seen == 20);
  // The same with nanosleep in the loop, by which a block gives way to the others: fewer rounds of it.
  const auto instructions = [] {
    const std::string counters = tr0n_emulator_counters(), name = "\"warpInstructions\":";
    return std::strtoull(counters.c_str() + counters.find(name) + name.size(), nullptr, 10);
  };
  const auto spinning = instructions();
  tr0n_emulator_reset();
  std::string sleepy = text;
  sleepy.insert(sleepy.find("@%p bra again"), "@%p nanosleep.u32 20;\n");
  CHECK(cuModuleGetFunction(&function, device.load(sleepy), "meet") == CUDA_SUCCESS);
  CHECK(cuLaunchCooperativeKernel(function, 20, 1, 1, 1, 1, 1, 0, nullptr, parameters) == CUDA_SUCCESS);
  CHECK_SAYING(cuCtxSynchronize() == CUDA_SUCCESS, report());
  for (const uint32_t seen : device.download<uint32_t>(out, 20)) CHECK(seen == 20);
  CHECK_SAYING(instructions() < 2000 && instructions() < spinning,
               std::to_string(instructions()) + " instructions instead of " + std::to_string(spinning));
  CHECK(cuLaunchCooperativeKernel(function, 100000, 1, 1, 1024, 1, 1, 0, nullptr, parameters) ==
        CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}

}  // namespace tr0n::emulator::test
