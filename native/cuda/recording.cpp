#include "cuda/recording.h"

#include <utility>

#include "cuda/errors.h"
#include "cuda/stream.h"

namespace tr0n::cuda {
namespace {

class GraphRecording final : public Recording {
 public:
  GraphRecording(const Context& context, const DeviceQueue& queue) : context_(context), queue_(queue) {}
  ~GraphRecording() override {
    const Current current(context_, std::nothrow);
    if (executable_ != nullptr) context_.api().cuGraphExecDestroy(executable_);
    if (workspace_ != nullptr) queue_.memory().release(workspace_);
  }

  void capture(const std::function<void()>& calls) {
    Detour detour(queue_);
    calls();
    if (detour.workspace_bytes > 0) workspace_ = queue_.memory().allocate(detour.workspace_bytes);
    kernels_ = std::move(detour.kernels);

    const Stream stream(context_);
    detour.stream = stream.handle();
    detour.workspace = workspace_;
    // Relaxed: this thread makes no call that a capture forbids, and what other threads do is their affair.
    TR0N_CUDA(context_, cuStreamBeginCapture_v2, stream.handle(), CU_STREAM_CAPTURE_MODE_RELAXED);
    CUgraph graph = nullptr;
    try {
      calls();
    } catch (...) {
      if (context_.api().cuStreamEndCapture(stream.handle(), &graph) == CUDA_SUCCESS)
        context_.api().cuGraphDestroy(graph);
      throw;
    }
    TR0N_CUDA(context_, cuStreamEndCapture, stream.handle(), &graph);
    const CUresult status = context_.api().cuGraphInstantiateWithFlags(&executable_, graph, 0);
    context_.api().cuGraphDestroy(graph);
    context_.check(status, "cuGraphInstantiateWithFlags");
  }

  void replay() override {
    const Current current(context_);
    context_.check(context_.api().cuGraphLaunch(executable_, queue_.stream()), "cuGraphLaunch",
                   queue_.running());
    queue_.launched(kernels_);
  }

 private:
  const Context& context_;
  const DeviceQueue& queue_;
  CUgraphExec executable_ = nullptr;
  void* workspace_ = nullptr;
  std::vector<std::string> kernels_;
};

/// Early drivers of CUDA 11 have graphs, but take no cooperative launch into one.
bool refuses_capture(CUresult status) {
  return status == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED || status == CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace

std::unique_ptr<Recording> record(const Context& context, const DeviceQueue& queue,
                                  const std::function<void()>& calls) {
  if (context.api().cuGraphInstantiateWithFlags == nullptr) return nullptr;
  auto recording = std::make_unique<GraphRecording>(context, queue);
  try {
    recording->capture(calls);
  } catch (const DriverError& error) {
    if (!refuses_capture(error.status())) throw;
    return nullptr;
  }
  return recording;
}

}  // namespace tr0n::cuda
