#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/cgroup.h"

namespace tr0n {

uint64_t available_memory() {
  uint64_t available = UINT64_MAX;
  std::ifstream system("/proc/meminfo");
  for (std::string name; system >> name;) {
    uint64_t kib = 0;
    if (name == "MemAvailable:" && system >> kib) available = std::min(available, kib * 1024);
  }
  for (const std::string& folder : cgroup_folders("memory"))
    for (const char* limit : {"/memory.max", "/memory.limit_in_bytes"}) {
      uint64_t bytes = 0;  // "max" does not parse
      if (std::ifstream(folder + limit) >> bytes) available = std::min(available, bytes);
    }
  return available;
}

}  // namespace tr0n
