#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace tr0n::cuda {

Staging::Staging(const Context& context, CUstream stream) : context_(context), stream_(stream) {}

Staging::~Staging() {
  for (Slot& slot : upload_) close(slot);
  for (Slot& slot : download_) close(slot);
}

void Staging::open(Slot& slot) {
  if (slot.done == nullptr) TR0N_CUDA(context_, cuEventCreate, &slot.done, CU_EVENT_DISABLE_TIMING);
  if (slot.memory == nullptr)
    context_.check(context_.api().cuMemHostAlloc(reinterpret_cast<void**>(&slot.memory), kSlot, 0),
                   "cuMemHostAlloc", std::to_string(kSlot) + " bytes for copies");
}

void Staging::close(Slot& slot) noexcept {
  if (slot.memory != nullptr) context_.api().cuMemFreeHost(slot.memory);
  if (slot.done != nullptr) context_.api().cuEventDestroy_v2(slot.done);
}

void Staging::await(Slot& slot, const std::string& running) {
  if (slot.recorded)
    context_.check(context_.api().cuEventSynchronize(slot.done), "cuEventSynchronize", running);
  slot.recorded = false;
  slot.used = 0;
}

/// Small uploads share a slot; a slot that is left is marked with an event, one that is come to again is
/// awaited.
void Staging::next_upload_slot() {
  Slot& full = upload_[current_];
  TR0N_CUDA(context_, cuEventRecord, full.done, stream_);
  full.recorded = true;
  current_ = (current_ + 1) % std::size(upload_);
  await(upload_[current_], "");
}

void Staging::upload(CUdeviceptr to, const void* from, size_t bytes) {
  constexpr size_t alignment = 64;
  const std::lock_guard lock(upload_mutex_);
  const char* source = static_cast<const char*>(from);
  while (bytes > 0) {
    open(upload_[current_]);
    if (upload_[current_].used == kSlot) {
      next_upload_slot();
      continue;
    }
    Slot& slot = upload_[current_];
    const size_t count = std::min(bytes, kSlot - slot.used);
    std::memcpy(slot.memory + slot.used, source, count);
    TR0N_CUDA(context_, cuMemcpyHtoDAsync_v2, to, slot.memory + slot.used, count, stream_);
    slot.used = std::min(kSlot, (slot.used + count + alignment - 1) / alignment * alignment);
    source += count;
    to += count;
    bytes -= count;
  }
}

void Staging::download(void* to, CUdeviceptr from, size_t bytes, const std::string& running) {
  const std::lock_guard lock(download_mutex_);
  char* target = static_cast<char*>(to);
  size_t pending = 0;  // bytes in the slot that was filled last
  size_t which = 0;
  for (size_t done = 0; done < bytes || pending > 0;) {
    // While one slot is emptied, the other fills.
    const size_t count = std::min(bytes - done, kSlot);
    Slot &filling = download_[which], &emptying = download_[1 - which];
    if (count > 0) {
      open(filling);
      context_.check(context_.api().cuMemcpyDtoHAsync_v2(filling.memory, from + done, count, stream_),
                     "cuMemcpyDtoHAsync", running);
      TR0N_CUDA(context_, cuEventRecord, filling.done, stream_);
      filling.recorded = true;
    }
    if (pending > 0) {
      await(emptying, running);
      std::memcpy(target, emptying.memory, pending);
      target += pending;
    }
    pending = count;
    done += count;
    which = 1 - which;
  }
}

}  // namespace tr0n::cuda
