#include "addon/memory.h"

#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdio>
#include <limits>

namespace tr0n::addon {
namespace {

constexpr size_t kUnknown = std::numeric_limits<size_t>::max();

/// The number in a one-line file; kUnknown where there is none ("max").
size_t read_number_file(const char* path) {
  std::FILE* file = std::fopen(path, "r");
  if (!file) return kUnknown;
  unsigned long long number = 0;
  const bool found = std::fscanf(file, "%llu", &number) == 1;
  std::fclose(file);
  return found ? static_cast<size_t>(number) : kUnknown;
}

size_t system_available() {
  if (std::FILE* file = std::fopen("/proc/meminfo", "r")) {
    char line[128];
    unsigned long long kilobytes = 0;
    bool found = false;
    while (!found && std::fgets(line, sizeof line, file))
      found = std::sscanf(line, "MemAvailable: %llu", &kilobytes) == 1;
    std::fclose(file);
    if (found) return static_cast<size_t>(kilobytes) * 1024;
  }
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(page) : kUnknown;
}

size_t group_available() {
  const size_t limit = read_number_file("/sys/fs/cgroup/memory.max");
  const size_t used = read_number_file("/sys/fs/cgroup/memory.current");
  if (limit == kUnknown || used == kUnknown) return kUnknown;
  return limit > used ? limit - used : 0;
}

}  // namespace

size_t available_memory() { return std::min(system_available(), group_available()); }

void trim_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace tr0n::addon
