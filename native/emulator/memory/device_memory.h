#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace tr0n::emulator {

// Where generic addresses lie: the upper 12 bits name the window. None is an address of the host, so that
// host code which follows a device pointer faults as it would beside a real device.
constexpr uint64_t kDeviceWindow = uint64_t{0x001} << 52;
constexpr uint64_t kSharedWindow = uint64_t{0x002} << 52;
constexpr uint64_t kLocalWindow = uint64_t{0x003} << 52;
constexpr uint64_t kParamWindow = uint64_t{0x004} << 52;
constexpr uint64_t window_of(uint64_t address) { return address >> 52; }

/// What is known of each byte.
enum Shadow : uint8_t { kNoAccess = 0, kUnwritten = 1, kInFlight = 2, kWritten = 3 };

struct Allocation {
  uint64_t address = 0, bytes = 0, serial = 0;
  int device = 0;
  bool owned = false;  ///< by a module: not to be freed by the user, no leak
  std::string what;    ///< the call that made it, or the variable's name
};

/// Global memory of all devices: one range of reserved host memory, a shadow byte for every byte, and for
/// every 32-byte sector the last launch that read and that wrote it. Addresses are not used again before the
/// range is used up.
class DeviceMemory {
 public:
  DeviceMemory();
  /// 0 where the device has too little left.
  uint64_t allocate(uint64_t bytes, int device, const char* what, bool owned = false);
  enum class Freed { yes, never_allocated, already_freed };
  Freed release(uint64_t address, bool owner = false);  ///< `owner`: of a module's variable
  const Allocation* find(uint64_t address) const;       ///< the live allocation that contains it
  const Allocation* find_freed(uint64_t address) const;
  /// In words: which allocation it is in, or how far behind which one.
  std::string describe(uint64_t address) const;

  bool in_range(uint64_t address, uint64_t bytes) const {
    return address - kDeviceWindow < size_ && bytes <= size_ - (address - kDeviceWindow);
  }
  std::byte* data(uint64_t address) const { return data_ + (address - kDeviceWindow); }
  uint8_t* shadow(uint64_t address) const { return shadow_ + (address - kDeviceWindow); }
  std::atomic<uint32_t>& read_stamp(uint64_t address) const {
    return read_stamps_[(address - kDeviceWindow) >> 5];
  }
  std::atomic<uint32_t>& write_stamp(uint64_t address) const {
    return write_stamps_[(address - kDeviceWindow) >> 5];
  }
  /// Whether [address, address + bytes) lies in live allocations as a whole.
  bool accessible(uint64_t address, uint64_t bytes) const;
  bool initialised(uint64_t address, uint64_t bytes) const;

  uint64_t used(int device) const;
  const std::map<uint64_t, Allocation>& live() const { return live_; }
  uint64_t allocations_made() const { return serial_; }

 private:
  uint64_t place(uint64_t bytes);
  uint64_t size_ = 0, next_ = 256, serial_ = 0;
  std::byte* data_ = nullptr;
  uint8_t* shadow_ = nullptr;
  std::atomic<uint32_t>*read_stamps_ = nullptr, *write_stamps_ = nullptr;
  std::map<uint64_t, Allocation> live_, freed_;
  std::map<int, uint64_t> used_;
};

DeviceMemory& device_memory();

}  // namespace tr0n::emulator
