#pragma once
#include <cstddef>
#include <cstdint>

/// The part of the CUDA driver API that tr0n uses: types, values and signatures of the driver's binary
/// interface (CUDA Driver API Reference), so that nothing of a CUDA toolkit is needed to build. cuda/ fills a
/// table of these functions from the driver's library; emulator/ exports them.
namespace tr0n::cuda {

/// X(name, value) for every status that this project names.
#define TR0N_CUDA_STATUSES(X)                       \
  X(CUDA_SUCCESS, 0)                                \
  X(CUDA_ERROR_INVALID_VALUE, 1)                    \
  X(CUDA_ERROR_OUT_OF_MEMORY, 2)                    \
  X(CUDA_ERROR_NOT_INITIALIZED, 3)                  \
  X(CUDA_ERROR_DEINITIALIZED, 4)                    \
  X(CUDA_ERROR_STUB_LIBRARY, 34)                    \
  X(CUDA_ERROR_DEVICE_UNAVAILABLE, 46)              \
  X(CUDA_ERROR_NO_DEVICE, 100)                      \
  X(CUDA_ERROR_INVALID_DEVICE, 101)                 \
  X(CUDA_ERROR_INVALID_IMAGE, 200)                  \
  X(CUDA_ERROR_INVALID_CONTEXT, 201)                \
  X(CUDA_ERROR_MAP_FAILED, 205)                     \
  X(CUDA_ERROR_NO_BINARY_FOR_GPU, 209)              \
  X(CUDA_ERROR_ECC_UNCORRECTABLE, 214)              \
  X(CUDA_ERROR_INVALID_PTX, 218)                    \
  X(CUDA_ERROR_NVLINK_UNCORRECTABLE, 220)           \
  X(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, 221)         \
  X(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222)        \
  X(CUDA_ERROR_JIT_COMPILATION_DISABLED, 223)       \
  X(CUDA_ERROR_INVALID_SOURCE, 300)                 \
  X(CUDA_ERROR_FILE_NOT_FOUND, 301)                 \
  X(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, 302) \
  X(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, 303)      \
  X(CUDA_ERROR_OPERATING_SYSTEM, 304)               \
  X(CUDA_ERROR_INVALID_HANDLE, 400)                 \
  X(CUDA_ERROR_ILLEGAL_STATE, 401)                  \
  X(CUDA_ERROR_NOT_FOUND, 500)                      \
  X(CUDA_ERROR_NOT_READY, 600)                      \
  X(CUDA_ERROR_ILLEGAL_ADDRESS, 700)                \
  X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701)        \
  X(CUDA_ERROR_LAUNCH_TIMEOUT, 702)                 \
  X(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, 708)         \
  X(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709)           \
  X(CUDA_ERROR_ASSERT, 710)                         \
  X(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712) \
  X(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713)     \
  X(CUDA_ERROR_HARDWARE_STACK_ERROR, 714)           \
  X(CUDA_ERROR_ILLEGAL_INSTRUCTION, 715)            \
  X(CUDA_ERROR_MISALIGNED_ADDRESS, 716)             \
  X(CUDA_ERROR_INVALID_ADDRESS_SPACE, 717)          \
  X(CUDA_ERROR_INVALID_PC, 718)                     \
  X(CUDA_ERROR_LAUNCH_FAILED, 719)                  \
  X(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, 720)   \
  X(CUDA_ERROR_NOT_PERMITTED, 800)                  \
  X(CUDA_ERROR_NOT_SUPPORTED, 801)                  \
  X(CUDA_ERROR_SYSTEM_NOT_READY, 802)               \
  X(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803)         \
  X(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, 804) \
  X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900)     \
  X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901)     \
  X(CUDA_ERROR_STREAM_CAPTURE_MERGE, 902)           \
  X(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, 903)       \
  X(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, 904)        \
  X(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905)       \
  X(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 906)        \
  X(CUDA_ERROR_CAPTURED_EVENT, 907)                 \
  X(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, 908)    \
  X(CUDA_ERROR_UNKNOWN, 999)

enum CUresult : int {
#define TR0N_CUDA_STATUS(name, value) name = value,
  TR0N_CUDA_STATUSES(TR0N_CUDA_STATUS)
#undef TR0N_CUDA_STATUS
};

using CUdevice = int;
using CUdeviceptr = uint64_t;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphNode = struct CUgraphNode_st*;
using CUgraphExec = struct CUgraphExec_st*;
using CUmemoryPool = struct CUmemPoolHandle_st*;
using CUhostFn = void (*)(void* user);
using CUoccupancyB2DSize = size_t (*)(int block_size);

struct CUuuid {
  char bytes[16];
};

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y = 3,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z = 4,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y = 6,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z = 7,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
  CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY = 9,
  CU_DEVICE_ATTRIBUTE_WARP_SIZE = 10,
  CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK = 12,
  CU_DEVICE_ATTRIBUTE_CLOCK_RATE = 13,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_INTEGRATED = 18,
  CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
  CU_DEVICE_ATTRIBUTE_COMPUTE_MODE = 20,
  CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS = 31,
  CU_DEVICE_ATTRIBUTE_ECC_ENABLED = 32,
  CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
  CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
  CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,
  CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,
  CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
  CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
  CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED = 78,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
  CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
  CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY = 83,
  CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR = 106,
  CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK = 111,
  CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
};

enum CUfunction_attribute : int {
  CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
  CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
  CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES = 2,
  CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
  CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
  CU_FUNC_ATTRIBUTE_PTX_VERSION = 5,
  CU_FUNC_ATTRIBUTE_BINARY_VERSION = 6,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9,
};

enum CUjit_option : int {
  CU_JIT_MAX_REGISTERS = 0,
  CU_JIT_INFO_LOG_BUFFER = 3,
  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
};

enum CUmemPool_attribute : int {
  CU_MEMPOOL_ATTR_RELEASE_THRESHOLD = 4,     ///< uint64_t, bytes kept at a synchronisation
  CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT = 5,  ///< uint64_t
  CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH = 6,     ///< uint64_t; only 0 can be set
  CU_MEMPOOL_ATTR_USED_MEM_CURRENT = 7,      ///< uint64_t
  CU_MEMPOOL_ATTR_USED_MEM_HIGH = 8,         ///< uint64_t; only 0 can be set
};

enum CUstreamCaptureMode : int {
  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
};

enum CUstreamCaptureStatus : int {
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
};

enum CUdriverProcAddressQueryResult : int {
  CU_GET_PROC_ADDRESS_SUCCESS = 0,
  CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND = 1,
  CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT = 2,
};

constexpr unsigned CU_CTX_SCHED_BLOCKING_SYNC = 4;
constexpr unsigned CU_STREAM_DEFAULT = 0, CU_STREAM_NON_BLOCKING = 1;
constexpr unsigned CU_EVENT_DEFAULT = 0, CU_EVENT_BLOCKING_SYNC = 1, CU_EVENT_DISABLE_TIMING = 2;
constexpr unsigned CU_MEMHOSTALLOC_PORTABLE = 1, CU_MEMHOSTALLOC_DEVICEMAP = 2;

/// X(symbol as the library exports it, parameters): every function returns CUresult.
#define TR0N_CUDA_FUNCTIONS(X)                                                                          \
  X(cuInit, (unsigned flags))                                                                           \
  X(cuDriverGetVersion, (int* version))                                                                 \
  X(cuGetErrorName, (CUresult status, const char** name))                                               \
  X(cuGetErrorString, (CUresult status, const char** text))                                             \
  X(cuGetProcAddress_v2, (const char* symbol, void** function, int version, uint64_t flags,             \
                          CUdriverProcAddressQueryResult* found))                                       \
  X(cuDeviceGetCount, (int* count))                                                                     \
  X(cuDeviceGet, (CUdevice * device, int ordinal))                                                      \
  X(cuDeviceGetName, (char* name, int length, CUdevice device))                                         \
  X(cuDeviceGetUuid_v2, (CUuuid * uuid, CUdevice device))                                               \
  X(cuDeviceGetAttribute, (int* value, CUdevice_attribute attribute, CUdevice device))                  \
  X(cuDeviceTotalMem_v2, (size_t * bytes, CUdevice device))                                             \
  X(cuDeviceGetDefaultMemPool, (CUmemoryPool * pool, CUdevice device))                                  \
  X(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                   \
  X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                    \
  X(cuDevicePrimaryCtxReset_v2, (CUdevice device))                                                      \
  X(cuDevicePrimaryCtxSetFlags_v2, (CUdevice device, unsigned flags))                                   \
  X(cuDevicePrimaryCtxGetState, (CUdevice device, unsigned* flags, int* active))                        \
  X(cuCtxGetCurrent, (CUcontext * context))                                                             \
  X(cuCtxSetCurrent, (CUcontext context))                                                               \
  X(cuCtxPushCurrent_v2, (CUcontext context))                                                           \
  X(cuCtxPopCurrent_v2, (CUcontext * context))                                                          \
  X(cuCtxGetDevice, (CUdevice * device))                                                                \
  X(cuCtxSynchronize, ())                                                                               \
  X(cuMemGetInfo_v2, (size_t * free_bytes, size_t * total))                                             \
  X(cuMemAlloc_v2, (CUdeviceptr * pointer, size_t bytes))                                               \
  X(cuMemFree_v2, (CUdeviceptr pointer))                                                                \
  X(cuMemAllocAsync, (CUdeviceptr * pointer, size_t bytes, CUstream stream))                            \
  X(cuMemAllocFromPoolAsync, (CUdeviceptr * pointer, size_t bytes, CUmemoryPool pool, CUstream stream)) \
  X(cuMemFreeAsync, (CUdeviceptr pointer, CUstream stream))                                             \
  X(cuMemPoolSetAttribute, (CUmemoryPool pool, CUmemPool_attribute attribute, void* value))             \
  X(cuMemPoolGetAttribute, (CUmemoryPool pool, CUmemPool_attribute attribute, void* value))             \
  X(cuMemPoolTrimTo, (CUmemoryPool pool, size_t bytes_to_keep))                                         \
  X(cuMemGetAddressRange_v2, (CUdeviceptr * base, size_t * bytes, CUdeviceptr pointer))                 \
  X(cuMemHostAlloc, (void** pointer, size_t bytes, unsigned flags))                                     \
  X(cuMemFreeHost, (void* pointer))                                                                     \
  X(cuMemHostRegister_v2, (void* pointer, size_t bytes, unsigned flags))                                \
  X(cuMemHostUnregister, (void* pointer))                                                               \
  X(cuMemHostGetDevicePointer_v2, (CUdeviceptr * pointer, void* host, unsigned flags))                  \
  X(cuMemcpyHtoD_v2, (CUdeviceptr to, const void* from, size_t bytes))                                  \
  X(cuMemcpyDtoH_v2, (void* to, CUdeviceptr from, size_t bytes))                                        \
  X(cuMemcpyDtoD_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes))                                  \
  X(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void* from, size_t bytes, CUstream stream))            \
  X(cuMemcpyDtoHAsync_v2, (void* to, CUdeviceptr from, size_t bytes, CUstream stream))                  \
  X(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))            \
  X(cuMemsetD8_v2, (CUdeviceptr to, unsigned char value, size_t count))                                 \
  X(cuMemsetD32_v2, (CUdeviceptr to, unsigned value, size_t count))                                     \
  X(cuMemsetD8Async, (CUdeviceptr to, unsigned char value, size_t count, CUstream stream))              \
  X(cuMemsetD32Async, (CUdeviceptr to, unsigned value, size_t count, CUstream stream))                  \
  X(cuStreamCreate, (CUstream * stream, unsigned flags))                                                \
  X(cuStreamCreateWithPriority, (CUstream * stream, unsigned flags, int priority))                      \
  X(cuStreamDestroy_v2, (CUstream stream))                                                              \
  X(cuStreamSynchronize, (CUstream stream))                                                             \
  X(cuStreamQuery, (CUstream stream))                                                                   \
  X(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                                \
  X(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                               \
  X(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                             \
  X(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus * status))                             \
  X(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode * mode))                                    \
  X(cuLaunchHostFunc, (CUstream stream, CUhostFn function, void* user))                                 \
  X(cuEventCreate, (CUevent * event, unsigned flags))                                                   \
  X(cuEventDestroy_v2, (CUevent event))                                                                 \
  X(cuEventRecord, (CUevent event, CUstream stream))                                                    \
  X(cuEventQuery, (CUevent event))                                                                      \
  X(cuEventSynchronize, (CUevent event))                                                                \
  X(cuEventElapsedTime, (float* milliseconds, CUevent start, CUevent end))                              \
  X(cuModuleLoadData, (CUmodule * module, const void* image))                                           \
  X(cuModuleLoadDataEx,                                                                                 \
    (CUmodule * module, const void* image, unsigned count, CUjit_option* options, void** values))       \
  X(cuModuleUnload, (CUmodule module))                                                                  \
  X(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char* name))                    \
  X(cuModuleGetGlobal_v2, (CUdeviceptr * pointer, size_t * bytes, CUmodule module, const char* name))   \
  X(cuFuncGetAttribute, (int* value, CUfunction_attribute attribute, CUfunction function))              \
  X(cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))               \
  X(cuFuncGetName, (const char** name, CUfunction function))                                            \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                        \
    (int* blocks, CUfunction function, int block_size, size_t shared_bytes))                            \
  X(cuOccupancyMaxPotentialBlockSize, (int* grid, int* block, CUfunction function,                      \
                                       CUoccupancyB2DSize shared_of, size_t shared_bytes, int limit))   \
  X(cuLaunchKernel, (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,            \
                     unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,       \
                     CUstream stream, void** parameters, void** extra))                                 \
  X(cuLaunchCooperativeKernel,                                                                          \
    (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,          \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** parameters))    \
  X(cuGraphInstantiateWithFlags, (CUgraphExec * executable, CUgraph graph, unsigned long long flags))   \
  X(cuGraphGetNodes, (CUgraph graph, CUgraphNode * nodes, size_t * count))                              \
  X(cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                           \
  X(cuGraphUpload, (CUgraphExec executable, CUstream stream))                                           \
  X(cuGraphExecDestroy, (CUgraphExec executable))                                                       \
  X(cuGraphDestroy, (CUgraph graph))

// The pointer type of a function is its symbol with _t: cuInit_t.
#define TR0N_CUDA_FUNCTION(name, parameters) using name##_t = CUresult(*) parameters;
TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION

}  // namespace tr0n::cuda
