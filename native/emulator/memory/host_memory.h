#pragma once
#include <cstddef>
#include <cstdint>
#include <map>

namespace tr0n::emulator {

/// Page-locked memory of the host: what cuMemHostAlloc gave or cuMemHostRegister named. Kernels reach it by
/// the host's own addresses; nothing is known of which bytes were written.
class HostMemory {
 public:
  struct Range {
    uint64_t bytes;
    bool allocated;  ///< by us, not registered
    uint64_t serial;
    int device;  ///< whose context it belongs to
  };
  void add(void* pointer, uint64_t bytes, bool allocated, int device) {
    ranges_[reinterpret_cast<uintptr_t>(pointer)] = {bytes, allocated, ++serial_, device};
  }
  /// Forgets a range that starts at `pointer`; false where there is none of that sort.
  bool remove(void* pointer, bool allocated) {
    const auto found = ranges_.find(reinterpret_cast<uintptr_t>(pointer));
    if (found == ranges_.end() || found->second.allocated != allocated) return false;
    ranges_.erase(found);
    return true;
  }
  std::byte* find(uint64_t address, uint64_t bytes) const {
    auto found = ranges_.upper_bound(address);
    if (found == ranges_.begin()) return nullptr;
    --found;
    const uint64_t offset = address - found->first;
    return offset <= found->second.bytes && bytes <= found->second.bytes - offset
               ? reinterpret_cast<std::byte*>(address)
               : nullptr;
  }
  const std::map<uint64_t, Range>& ranges() const { return ranges_; }
  void clear() { ranges_.clear(); }

 private:
  std::map<uint64_t, Range> ranges_;
  uint64_t serial_ = 0;
};

inline HostMemory& host_memory() {
  static auto* memory = new HostMemory;
  return *memory;
}

}  // namespace tr0n::emulator
