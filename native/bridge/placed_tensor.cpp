#include "bridge/placed_tensor.h"

#include <atomic>

namespace tr0n {
namespace {

std::atomic<uint64_t> to_device{0}, to_host{0};

}  // namespace

Crossings crossings() { return {to_device.load(), to_host.load()}; }
void count_to_device(size_t bytes) { to_device.fetch_add(bytes, std::memory_order_relaxed); }
void count_to_host(size_t bytes) { to_host.fetch_add(bytes, std::memory_order_relaxed); }

}  // namespace tr0n
