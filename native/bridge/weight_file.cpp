#include "bridge/weight_file.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/memory.h"

namespace tr0n {
namespace {

// Leaked: sessions may be released while the process exits.
std::mutex& registry_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
std::map<std::string, std::weak_ptr<WeightFile>>& registry() {
  static auto* files = new std::map<std::string, std::weak_ptr<WeightFile>>;
  return *files;
}

std::atomic<size_t> resident{0};

}  // namespace

std::shared_ptr<WeightFile> WeightFile::of(const OpenedFile& file) {
  const std::lock_guard<std::mutex> lock(registry_mutex());
  auto& files = registry();
  for (auto it = files.begin(); it != files.end();)
    it = it->second.expired() ? files.erase(it) : std::next(it);
  auto& known = files[file.state()];
  if (auto shared = known.lock()) return shared;
  std::shared_ptr<WeightFile> fresh(new WeightFile);
  known = fresh;
  return fresh;
}

WeightRange WeightFile::range(const OpenedFile& file, size_t offset, size_t bytes, const std::string& what) {
  if (bytes == 0) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  auto& known = ranges_[{offset, bytes}];
  if (WeightRange range = known.lock()) return range;
  // Holes take no memory; a file system that compresses says less than it takes, which is caught by nobody.
  const size_t needed = std::min(bytes, file.stored());
  void* data = needed > available_memory()
                   ? MAP_FAILED
                   : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (data == MAP_FAILED)
    throw Error("ERR_OUT_OF_MEMORY",
                what + ": " + std::to_string(needed >> 20) + " MiB of it do not fit into memory");
  resident.fetch_add(bytes);
  WeightRange range(static_cast<char*>(data), [bytes, file_too = shared_from_this()](char* pages) {
    munmap(pages, bytes);
    resident.fetch_sub(bytes);
  });
  file.read(range.get(), offset, bytes, /*zeroed=*/true);
  mprotect(data, bytes, PROT_READ);
  known = range;
  return range;
}

size_t resident_weight_bytes() { return resident.load(); }

}  // namespace tr0n
