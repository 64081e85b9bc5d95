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

/// More would be memory for nothing: work that nobody waits for is done at some time.
constexpr size_t kMostItems = 4096;

/// Does the first item: what it waits for is done.
void run_first(Timeline& timeline) {
  const Timeline::Item next = std::move(timeline.items.front());
  timeline.items.pop_front();
  timeline.done = next.number;
  if (next.work == nullptr) return;
  // A device that failed does nothing more.
  if (timeline.context->status != CUDA_SUCCESS) return;
  if (const CUresult chosen = injected("@work"); chosen != CUDA_SUCCESS) {
    timeline.context->status = chosen;
    return;
  }
  try {
    next.work->run();
  } catch (const emulator::Fault& fault) {
    timeline.context->status = fault.status;
  }
}

bool waits(const Timeline::Item& item) {
  return item.work == nullptr && item.awaited->done < item.number_awaited;
}

std::vector<std::shared_ptr<Timeline>> timelines() {
  std::vector<std::shared_ptr<Timeline>> all;
  for (const auto& [device, context] : driver().contexts) all.push_back(context->default_stream.timeline);
  for (const CUstream stream : driver().streams) all.push_back(stream->timeline);
  std::erase_if(all, [](const auto& timeline) { return timeline->items.empty(); });
  return all;
}

/// The default stream comes after what the streams that block had to do, and they come after it.
void order_against_default(CUstream stream) {
  const CUstream standard = &stream->context->default_stream;
  if (stream != standard) {
    if (stream->flags != CU_STREAM_NON_BLOCKING) wait_in(stream, standard->timeline, standard->last);
    return;
  }
  for (const CUstream other : driver().streams) {
    if (other->context == stream->context && other->flags != CU_STREAM_NON_BLOCKING)
      wait_in(stream, other->timeline, other->last);
  }
}

}  // namespace

void wait_in(CUstream stream, const std::shared_ptr<Timeline>& awaited, uint64_t number) {
  if (awaited == stream->timeline || awaited->done >= number) return;
  stream->last = ++driver().enqueued;
  stream->timeline->items.push_back({stream->last, nullptr, awaited, number});
}

void run_next(const std::shared_ptr<Timeline>& timeline) {
  while (!timeline->items.empty() && waits(timeline->items.front())) {
    // Of the timeline that holds it up.
    const Timeline::Item& first = timeline->items.front();
    return run_next(first.awaited);
  }
  if (!timeline->items.empty()) run_first(*timeline);
}

void run_until(const std::shared_ptr<Timeline>& timeline, uint64_t number) {
  while (!timeline->items.empty() && timeline->items.front().number <= number) {
    const Timeline::Item& first = timeline->items.front();
    if (waits(first)) run_until(first.awaited, first.number_awaited);
    run_first(*timeline);
  }
}

void run_all() {
  static uint64_t state = 1;
  for (auto all = timelines(); !all.empty(); all = timelines()) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    run_next(all[(state >> 33) % all.size()]);
  }
}

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
  order_against_default(stream);
  stream->last = ++d.enqueued;
  stream->timeline->items.push_back({stream->last, std::move(work), nullptr, 0});
  if (!emulator::config().lazy || stream->timeline->items.size() > kMostItems)
    run_until(stream->timeline, stream->last);
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
