#include <algorithm>

#include "emulator/driver/driver.h"

namespace tr0n::cuda {

extern "C" {

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  return entry("cuStreamBeginCapture_v2", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (stream == &stream->context->default_stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
      return CUDA_ERROR_INVALID_VALUE;
    auto capture = std::make_shared<Capture>();
    capture->graph = new CUgraph_st;
    capture->origin = stream;
    capture->mode = mode;
    stream->capture = std::move(capture);
    stream->captured = 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  return entry("cuStreamEndCapture", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *graph = nullptr;
    if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    const auto capture = stream->capture;
    if (capture->origin != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    // Other streams leave the capture; what they did has to have been joined.
    Driver& d = driver();
    size_t furthest = 0;
    for (const CUstream s : d.streams) {
      if (s->capture != capture) continue;
      if (s != stream) furthest = std::max(furthest, s->captured);
      s->capture = nullptr;
    }
    for (const CUevent event : d.events) {
      if (event->capture == capture) {
        event->capture = nullptr;
        event->recorded = false;
      }
    }
    if (capture->invalid || furthest > capture->joined) {
      delete capture->graph;
      return capture->invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    }
    d.graphs.insert(capture->graph);
    *graph = capture->graph;
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  return entry("cuStreamIsCapturing", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *status = !stream->capture           ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                         : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return CUDA_SUCCESS;
  });
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return entry("cuThreadExchangeStreamCaptureMode", Needs::initialised, [&] {
    thread_local CUstreamCaptureMode current = CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::swap(current, *mode);
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  return entry("cuGraphInstantiateWithFlags", Needs::context, [&] {
    if (executable == nullptr || driver().graphs.count(graph) == 0) return CUDA_ERROR_INVALID_VALUE;
    auto created = std::make_unique<CUgraphExec_st>();
    created->nodes = graph->nodes;
    created->context = current_context();
    driver().executables.insert(created.get());
    *executable = created.release();
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return entry("cuGraphGetNodes", Needs::context, [&] {
    if (count == nullptr || driver().graphs.count(graph) == 0) return CUDA_ERROR_INVALID_VALUE;
    if (nodes == nullptr) {
      *count = graph->nodes.size();
      return CUDA_SUCCESS;
    }
    for (size_t k = 0; k < *count; ++k)
      nodes[k] = k < graph->nodes.size() ? reinterpret_cast<CUgraphNode>(graph->nodes[k].get()) : nullptr;
    *count = std::min(*count, graph->nodes.size());
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream handle) {
  return entry("cuGraphLaunch", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr || driver().executables.count(executable) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    // The nodes by themselves: the executable may be destroyed before they ran.
    const auto nodes = executable->nodes;
    return enqueue(stream, "cuGraphLaunch", [nodes] {
      for (const auto& node : nodes) node->run();
    });
  });
}

CUresult cuGraphUpload(CUgraphExec executable, CUstream handle) {
  return entry("cuGraphUpload", Needs::context, [&] {
    return stream_of(handle) == nullptr || driver().executables.count(executable) == 0
               ? CUDA_ERROR_INVALID_HANDLE
               : CUDA_SUCCESS;
  });
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
  return entry("cuGraphExecDestroy", Needs::context, [&] {
    if (driver().executables.erase(executable) == 0) {
      misuse("cuGraphExecDestroy", emulator::Kind::double_free,
             "destroys a graph executable that does not, or no longer, exist");
      return CUDA_ERROR_INVALID_HANDLE;
    }
    delete executable;
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphDestroy(CUgraph graph) {
  return entry("cuGraphDestroy", Needs::initialised, [&] {
    if (driver().graphs.erase(graph) == 0) {
      misuse("cuGraphDestroy", emulator::Kind::double_free,
             "destroys a graph that does not, or no longer, exist");
      return CUDA_ERROR_INVALID_VALUE;
    }
    delete graph;
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
