#include "emulator/memory/device_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "emulator/config.h"

namespace tr0n::emulator {
namespace {

constexpr uint64_t kAlign = 256, kGap = 256, kPage = 4096;

void* reserve(uint64_t bytes) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

/// Fills, and gives whole pages of zeros back to the system.
void wipe(void* memory, uint64_t bytes) {
  auto* first = static_cast<std::byte*>(memory);
  const uint64_t start =
      (reinterpret_cast<uintptr_t>(first) + kPage - 1) / kPage * kPage - reinterpret_cast<uintptr_t>(first);
  if (bytes >= start + kPage) {
    const uint64_t pages = (bytes - start) / kPage * kPage;
    if (madvise(first + start, pages, MADV_DONTNEED) == 0) {
      std::memset(first, 0, start);
      std::memset(first + start + pages, 0, bytes - start - pages);
      return;
    }
  }
  std::memset(memory, 0, bytes);
}

}  // namespace

DeviceMemory& device_memory() {
  static auto* memory = new DeviceMemory;  // lives as long as the process: other threads may still end
  return *memory;
}

DeviceMemory::DeviceMemory() {
  for (size_ = uint64_t{1} << 39; size_ >= uint64_t{1} << 30; size_ /= 2) {
    data_ = static_cast<std::byte*>(reserve(size_));
    shadow_ = static_cast<uint8_t*>(reserve(size_));
    read_stamps_ = static_cast<std::atomic<uint32_t>*>(reserve(size_ / 8));
    write_stamps_ = static_cast<std::atomic<uint32_t>*>(reserve(size_ / 8));
    if (data_ != nullptr && shadow_ != nullptr && read_stamps_ != nullptr && write_stamps_ != nullptr) return;
    if (data_ != nullptr) munmap(data_, size_);
    if (shadow_ != nullptr) munmap(shadow_, size_);
    if (read_stamps_ != nullptr) munmap(read_stamps_, size_ / 8);
    if (write_stamps_ != nullptr) munmap(write_stamps_, size_ / 8);
  }
  size_ = 0;
}

uint64_t DeviceMemory::place(uint64_t bytes) {
  const uint64_t room = (bytes + kAlign - 1) / kAlign * kAlign + kGap;
  if (next_ + room <= size_) {
    const uint64_t at = next_;
    next_ += room;
    return kDeviceWindow + at;
  }
  // Used up: from now on the first gap between live allocations that is large enough.
  uint64_t at = kDeviceWindow + kAlign;
  for (const auto& [address, allocation] : live_) {
    if (address >= at + room) break;
    at = address + (allocation.bytes + kAlign - 1) / kAlign * kAlign + kGap;
  }
  if (at + room > kDeviceWindow + size_) return 0;
  for (auto old = freed_.begin(); old != freed_.end();) {
    const bool overlaps = old->first < at + room && at < old->first + old->second.bytes;
    old = overlaps ? freed_.erase(old) : std::next(old);
  }
  return at;
}

uint64_t DeviceMemory::allocate(uint64_t bytes, int device, const char* what, bool owned) {
  const uint64_t limit = config().memory;
  if (bytes == 0 || bytes > limit || used_[device] > limit - bytes) return 0;
  const uint64_t address = place(bytes);
  if (address == 0) return 0;
  std::memset(shadow(address), kUnwritten, bytes);
  // Not zeros: a kernel that reads what it did not write has to see that.
  if (bytes <= 1 << 20) std::memset(data(address), 0xA5, bytes);
  used_[device] += bytes;
  live_[address] = {address, bytes, ++serial_, device, owned, what};
  return address;
}

DeviceMemory::Freed DeviceMemory::release(uint64_t address, bool owner) {
  const auto found = live_.find(address);
  if (found == live_.end() || found->second.owned != owner) {
    return freed_.count(address) > 0 ? Freed::already_freed : Freed::never_allocated;
  }
  wipe(shadow(address), found->second.bytes);
  wipe(data(address), found->second.bytes);
  used_[found->second.device] -= found->second.bytes;
  freed_[address] = found->second;
  live_.erase(found);
  return Freed::yes;
}

const Allocation* DeviceMemory::find(uint64_t address) const {
  auto found = live_.upper_bound(address);
  if (found == live_.begin()) return nullptr;
  --found;
  return address < found->first + found->second.bytes ? &found->second : nullptr;
}

const Allocation* DeviceMemory::find_freed(uint64_t address) const {
  auto found = freed_.upper_bound(address);
  if (found == freed_.begin()) return nullptr;
  --found;
  return address < found->first + found->second.bytes ? &found->second : nullptr;
}

std::string DeviceMemory::describe(uint64_t address) const {
  const auto name = [](const Allocation& a) {
    return std::to_string(a.bytes) + " bytes of " + a.what + " number " + std::to_string(a.serial);
  };
  if (const Allocation* inside = find(address))
    return std::to_string(address - inside->address) + " bytes into " + name(*inside);
  if (const Allocation* old = find_freed(address))
    return std::to_string(address - old->address) + " bytes into freed " + name(*old);
  auto after = live_.upper_bound(address);
  if (after == live_.begin())
    return after == live_.end() ? "no allocation is live" : "before every allocation";
  const Allocation& before = std::prev(after)->second;
  return std::to_string(address - before.address - before.bytes) + " bytes behind " + name(before);
}

bool DeviceMemory::accessible(uint64_t address, uint64_t bytes) const {
  if (bytes == 0) return true;
  if (!in_range(address, bytes)) return false;
  const Allocation* first = find(address);
  return first != nullptr && bytes <= first->address + first->bytes - address;
}

bool DeviceMemory::initialised(uint64_t address, uint64_t bytes) const {
  const uint8_t* state = shadow(address);
  for (uint64_t i = 0; i < bytes; ++i) {
    if (state[i] != kWritten) return false;
  }
  return true;
}

uint64_t DeviceMemory::used(int device) const {
  const auto found = used_.find(device);
  return found == used_.end() ? 0 : found->second;
}

}  // namespace tr0n::emulator
