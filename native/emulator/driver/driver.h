#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "cuda/driver_api.h"
#include "emulator/exec/block.h"
#include "emulator/report.h"

/// The objects behind the driver's handles, and what all entry points share.
namespace tr0n::cuda {

// Declared so that a definition with other parameters does not compile.
extern "C" {
#define TR0N_CUDA_FUNCTION(name, parameters) __attribute__((visibility("default"))) CUresult name parameters;
TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
}

/// Something that a stream does: a copy, a kernel.
struct Work {
  const char* what;
  std::function<void()> run;
};

/// What a stream still has to do. Shared with the events that wait for it: a stream may be gone before them.
struct Timeline {
  struct Item {
    uint64_t number = 0;
    std::shared_ptr<Work> work;         ///< null: the stream waits there
    std::shared_ptr<Timeline> awaited;  ///< for this timeline to have done its work `number_awaited`
    uint64_t number_awaited = 0;
  };
  explicit Timeline(CUcontext owner) : context(owner) {}
  const CUcontext context;
  std::deque<Item> items;
  uint64_t done = 0;  ///< number of the last item that was done
};

/// Streams that are being captured together into one graph.
struct Capture {
  CUgraph graph = nullptr;
  CUstream origin = nullptr;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  bool invalid = false;
  size_t joined = 0;  ///< nodes that the origin stream comes after
};

}  // namespace tr0n::cuda

struct tr0n::cuda::CUgraph_st {
  std::vector<std::shared_ptr<Work>> nodes;  ///< in an order that respects all dependencies
};
struct tr0n::cuda::CUgraphNode_st {};
struct tr0n::cuda::CUgraphExec_st {
  std::vector<std::shared_ptr<Work>> nodes;
  CUcontext context;
};
struct tr0n::cuda::CUstream_st {
  CUcontext context;
  unsigned flags = 0;
  std::shared_ptr<Timeline> timeline;
  uint64_t last = 0;  ///< number of its last work
  std::shared_ptr<Capture> capture;
  size_t captured = 0;  ///< nodes of the capture that this stream comes after
};
struct tr0n::cuda::CUevent_st {
  CUcontext context;
  unsigned flags = 0;
  bool recorded = false;
  std::shared_ptr<Timeline> timeline;  ///< of the stream that it was recorded in
  uint64_t at = 0;                     ///< the work that it waits for
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
  std::shared_ptr<Capture> capture;  ///< where it was recorded in one
  size_t captured = 0;
};
struct tr0n::cuda::CUfunc_st {
  CUmodule module;
  const emulator::Function* function;
  int max_dynamic_shared;
};
struct tr0n::cuda::CUmod_st {
  CUcontext context;
  std::unique_ptr<emulator::Module> module;
  std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};
struct tr0n::cuda::CUmemPoolHandle_st {
  int device = 0;
  uint64_t release_threshold = 0;
};
struct tr0n::cuda::CUctx_st {
  int device = 0;
  unsigned retains = 0, flags = 0;
  CUresult status = CUDA_SUCCESS;  ///< sticky
  CUstream_st default_stream{};
  CUmemPoolHandle_st pool;
};

namespace tr0n::cuda {

struct Driver {
  std::recursive_mutex mutex;
  bool initialised = false;
  std::map<int, std::unique_ptr<CUctx_st>> contexts;  ///< primary contexts, by device
  std::set<CUstream> streams;
  std::set<CUevent> events;
  std::set<CUmodule> modules;
  std::set<CUfunction> functions;
  std::set<CUgraph> graphs;
  std::set<CUgraphExec> executables;

  uint64_t enqueued = 0;  ///< items of all timelines so far, in the order of the calls
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};
Driver& driver();

enum class Needs { nothing, initialised, context };

/// The frame of every entry point: one call at a time, counted, made to fail where a test says so, sticky
/// errors returned, exceptions turned into statuses.
CUresult entry(const char* name, Needs needs, const std::function<CUresult()>& body);

CUcontext current_context();  ///< of the calling thread; null where there is none
/// Of a handle in any form; null where it is none.
CUstream stream_of(CUstream handle);
/// Appends to a stream, or to the graph that it is being captured into.
CUresult enqueue(CUstream stream, const char* what, std::function<void()> run);
/// Lets a stream's later work wait until another timeline has done its work of that number.
void wait_in(CUstream stream, const std::shared_ptr<Timeline>& awaited, uint64_t number);
/// Does what a stream has to do up to that number, with what that waits for, and nothing else.
void run_until(const std::shared_ptr<Timeline>& timeline, uint64_t number);
/// Does the next thing that a stream has to do.
void run_next(const std::shared_ptr<Timeline>& timeline);
/// Everything, of every stream: one piece of work of a stream drawn at random after the other.
void run_all();
/// Whether a call that synchronises or allocates is forbidden because a capture is under way; invalidates
/// that.
bool forbidden_by_capture(CUstream stream = nullptr);
/// Reports a misuse of the API; the call's own status says the rest.
void misuse(const char* function, emulator::Kind kind, const std::string& what);

/// What tr0n_emulator_fail asked for: CUDA_SUCCESS, or the status to return.
CUresult injected(const char* name);

void count_launch(const emulator::Launch& launch);
void reset_counters();
std::string counters_as_json();

}  // namespace tr0n::cuda
