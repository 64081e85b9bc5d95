#include "emulator/driver/driver.h"

#include <algorithm>
#include <new>

#include "emulator/config.h"

namespace tr0n::cuda {

Driver& driver() {
  static auto* instance = new Driver;  // never destroyed: other threads may still call at the process's end
  return *instance;
}

CUresult entry(const char* name, Needs needs, const std::function<CUresult()>& body) {
  Driver& d = driver();
  const std::lock_guard lock(d.mutex);
  const CUresult chosen = injected(name);
  if (chosen != CUDA_SUCCESS) return chosen;
  if (needs != Needs::nothing && !d.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (needs == Needs::context) {
    const CUcontext context = current_context();
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (context->retains == 0) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (context->status != CUDA_SUCCESS) return context->status;
  }
  try {
    return body();
  } catch (const emulator::Fault& fault) {
    return fault.status;
  } catch (const std::bad_alloc&) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    misuse(name, emulator::Kind::invalid_call, std::string("internal error: ") + error.what());
    return CUDA_ERROR_UNKNOWN;
  }
}

CUstream stream_of(CUstream handle) {
  // 0, 1 and 2 are the default stream, the legacy one by name, and that of a thread.
  if (reinterpret_cast<uintptr_t>(handle) <= 2) {
    const CUcontext context = current_context();
    return context == nullptr ? nullptr : &context->default_stream;
  }
  return driver().streams.count(handle) > 0 ? handle : nullptr;
}

namespace {

void run_one() {
  Driver& d = driver();
  Driver::Queued next = std::move(d.queue.front());
  d.queue.pop_front();
  d.finished = next.number;
  if (next.context->status != CUDA_SUCCESS) return;  // a device that failed does nothing more
  try {
    next.work->run();
  } catch (const emulator::Fault& fault) {
    next.context->status = fault.status;
  }
}

}  // namespace

void run_until(uint64_t number) {
  Driver& d = driver();
  while (!d.queue.empty() && d.queue.front().number <= number) run_one();
}

void run_all() { run_until(driver().enqueued); }

CUresult enqueue(CUstream stream, const char* what, std::function<void()> run) {
  Driver& d = driver();
  auto work = std::make_shared<Work>(Work{what, std::move(run)});
  if (stream->capture) {
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream->capture->graph->nodes.push_back(std::move(work));
    stream->captured = stream->capture->graph->nodes.size();
    if (stream == stream->capture->origin) stream->capture->joined = stream->captured;
    return CUDA_SUCCESS;
  }
  stream->last = ++d.enqueued;
  d.queue.push_back({stream->last, stream->context, std::move(work)});
  if (!emulator::config().lazy || d.queue.size() > 4096) run_all();
  return CUDA_SUCCESS;
}

bool forbidden_by_capture(CUstream stream) {
  if (stream != nullptr) {
    if (!stream->capture) return false;
    stream->capture->invalid = true;
    return true;
  }
  bool forbidden = false;
  Driver& d = driver();
  const auto check = [&](CUstream s) {
    // A capture in relaxed mode forbids nothing to others; thread-local captures are taken for global ones.
    if (!s->capture || s->capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) return;
    s->capture->invalid = true;
    forbidden = true;
  };
  for (const CUstream s : d.streams) check(s);
  return forbidden;
}

void misuse(const char* function, emulator::Kind kind, const std::string& what) {
  emulator::Violation violation;
  violation.kind = kind;
  violation.kernel = function;
  violation.what = what;
  emulator::report(std::move(violation));
}

}  // namespace tr0n::cuda
