#include "emulator/driver/driver.h"

namespace tr0n::cuda {

extern "C" {

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return entry("cuStreamCreate", Needs::context, [&] {
    if (stream == nullptr || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    auto created = std::make_unique<CUstream_st>();
    created->context = current_context();
    created->flags = flags;
    created->timeline = std::make_shared<Timeline>(created->context);
    driver().streams.insert(created.get());
    *stream = created.release();
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int) {
  return cuStreamCreate(stream, flags);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  return entry("cuStreamDestroy_v2", Needs::context, [&] {
    if (driver().streams.count(stream) == 0) {
      misuse("cuStreamDestroy", emulator::Kind::double_free,
             "destroys a stream that does not, or no longer, exist");
      return CUDA_ERROR_INVALID_HANDLE;
    }
    run_until(stream->timeline, stream->last);
    driver().streams.erase(stream);
    delete stream;
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamSynchronize(CUstream handle) {
  return entry("cuStreamSynchronize", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (forbidden_by_capture(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    run_until(stream->timeline, stream->last);
    return stream->context->status;
  });
}

CUresult cuStreamQuery(CUstream handle) {
  return entry("cuStreamQuery", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (forbidden_by_capture(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    // Who asks again and again sees it end: each question lets one piece of work be done.
    if (stream->timeline->items.empty()) return stream->context->status;
    run_next(stream->timeline);
    return stream->context->status != CUDA_SUCCESS ? stream->context->status : CUDA_ERROR_NOT_READY;
  });
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  return entry("cuStreamWaitEvent", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr || driver().events.count(event) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) {
      if (event->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
      if (stream->capture && stream->capture != event->capture) return CUDA_ERROR_STREAM_CAPTURE_MERGE;
      stream->capture = event->capture;  // the stream joins the capture
      stream->captured = std::max(stream->captured, event->captured);
      if (stream == stream->capture->origin)
        stream->capture->joined = std::max(stream->capture->joined, event->captured);
      return CUDA_SUCCESS;
    }
    if (stream->capture && event->recorded) {
      stream->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (event->recorded) wait_in(stream, event->timeline, event->at);
    return CUDA_SUCCESS;
  });
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void* user) {
  return entry("cuLaunchHostFunc", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr || function == nullptr)
      return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    const CUresult status = enqueue(stream, "cuLaunchHostFunc", [=] { function(user); });
    // Nobody may wait for a stream that reports by a callback.
    if (status == CUDA_SUCCESS && !stream->capture) run_until(stream->timeline, stream->last);
    return status;
  });
}

// ---- events

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return entry("cuEventCreate", Needs::context, [&] {
    if (event == nullptr || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    auto created = std::make_unique<CUevent_st>();
    created->context = current_context();
    created->flags = flags;
    driver().events.insert(created.get());
    *event = created.release();
    return CUDA_SUCCESS;
  });
}

CUresult cuEventDestroy_v2(CUevent event) {
  return entry("cuEventDestroy_v2", Needs::context, [&] {
    if (driver().events.erase(event) == 0) {
      misuse("cuEventDestroy", emulator::Kind::double_free,
             "destroys an event that does not, or no longer, exist");
      return CUDA_ERROR_INVALID_HANDLE;
    }
    delete event;
    return CUDA_SUCCESS;
  });
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
  return entry("cuEventRecord", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr || driver().events.count(event) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (event->context != stream->context) return CUDA_ERROR_INVALID_HANDLE;
    event->recorded = true;
    event->capture = stream->capture;
    if (stream->capture) {
      event->captured = stream->captured;
      return CUDA_SUCCESS;
    }
    event->time = std::make_shared<std::chrono::steady_clock::time_point>();
    const auto time = event->time;
    const CUresult status =
        enqueue(stream, "cuEventRecord", [=] { *time = std::chrono::steady_clock::now(); });
    event->timeline = stream->timeline;
    event->at = stream->last;
    return status;
  });
}

CUresult cuEventQuery(CUevent event) {
  return entry("cuEventQuery", Needs::context, [&] {
    if (driver().events.count(event) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
    if (!event->recorded || event->timeline->done >= event->at) return event->context->status;
    run_next(event->timeline);
    return event->context->status != CUDA_SUCCESS ? event->context->status : CUDA_ERROR_NOT_READY;
  });
}

CUresult cuEventSynchronize(CUevent event) {
  return entry("cuEventSynchronize", Needs::context, [&] {
    if (driver().events.count(event) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
    if (event->recorded) run_until(event->timeline, event->at);
    return event->context->status;
  });
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent first, CUevent last) {
  return entry("cuEventElapsedTime", Needs::context, [&] {
    Driver& d = driver();
    if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (d.events.count(first) == 0 || d.events.count(last) == 0) return CUDA_ERROR_INVALID_HANDLE;
    if (((first->flags | last->flags) & CU_EVENT_DISABLE_TIMING) != 0 || !first->time || !last->time)
      return CUDA_ERROR_INVALID_HANDLE;
    if (first->timeline->done < first->at || last->timeline->done < last->at) return CUDA_ERROR_NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(*last->time - *first->time).count();
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
