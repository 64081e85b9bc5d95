#include "bridge/weight_file.h"

#include <sys/mman.h>

#include <algorithm>

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

void WeightFile::read(const OpenedFile& file, size_t offset, size_t bytes, const std::string& what) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto& range = ranges_[{offset, bytes}];
  if (range || bytes == 0) return;
  // Holes take no memory; a file system that compresses says less than it takes, which is caught by nobody.
  const size_t needed = std::min(bytes, file.stored());
  void* data = needed > available_memory()
                   ? MAP_FAILED
                   : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (data == MAP_FAILED)
    throw Error("ERR_OUT_OF_MEMORY",
                what + ": " + std::to_string(needed >> 20) + " MiB of it do not fit into memory");
  std::unique_ptr<char, Unmap> copy(static_cast<char*>(data), Unmap{bytes});
  file.read(copy.get(), offset, bytes, /*zeroed=*/true);
  mprotect(data, bytes, PROT_READ);
  range = std::move(copy);
}

char* WeightFile::range(size_t offset, size_t bytes) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ranges_.at({offset, bytes}).get();
}

void WeightFile::Unmap::operator()(char* data) const noexcept { munmap(data, bytes); }

}  // namespace tr0n
