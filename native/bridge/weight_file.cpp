#include "bridge/weight_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/memory.h"

namespace tr0n {
namespace {

/// What tells one state of a file from another: device, inode, size, time of change.
using Identity = std::tuple<dev_t, ino_t, off_t, time_t, long>;

Identity identity_of(const struct stat& status) {
#if defined(__APPLE__)
  const timespec& changed = status.st_mtimespec;
#else
  const timespec& changed = status.st_mtim;
#endif
  return {status.st_dev, status.st_ino, status.st_size, changed.tv_sec, changed.tv_nsec};
}

// Leaked: sessions may be released while the process exits.
std::mutex& registry_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
std::map<Identity, std::weak_ptr<const WeightFile>>& registry() {
  static auto* files = new std::map<Identity, std::weak_ptr<const WeightFile>>;
  return *files;
}

struct Descriptor {
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number;
};

/// The part of a file from `at` on that holds data and no hole: begin, end. Empty at the end of the data.
std::pair<size_t, size_t> next_data(int file, size_t at, size_t size) {
#ifdef SEEK_DATA
  const off_t begin = lseek(file, static_cast<off_t>(at), SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return {size, size};
  const off_t end = begin < 0 ? -1 : lseek(file, begin, SEEK_HOLE);
  if (end >= 0) return {static_cast<size_t>(begin), std::min(static_cast<size_t>(end), size)};
#endif
  return {at, size};
}

/// Copies a file into zeroed memory. Returns whether it had `size` bytes; `errno` says what failed otherwise,
/// 0 when the file ended early.
bool read_into(char* data, int file, size_t size) {
  for (size_t at = 0; at < size;) {
    const auto [begin, end] = next_data(file, at, size);
    for (at = begin; at < end;) {
      constexpr size_t most = size_t{1} << 30;
      const ssize_t count = pread(file, data + at, std::min(end - at, most), static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        if (count == 0) errno = 0;
        return false;
      }
      at += static_cast<size_t>(count);
    }
  }
  return true;
}

}  // namespace

std::shared_ptr<const WeightFile> WeightFile::open(const std::string& path, const std::string& model) {
  const auto fail = [&](const std::string& why) {
    return Error("ERR_MODEL_NOT_FOUND", model + ": its external data \"" + path + "\" " + why);
  };
  // Not blocking: a pipe without a writer must not hold the caller up.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.number < 0 || fstat(file.number, &status) != 0)
    throw fail(std::string("cannot be read: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw fail("is not a file");
  if (status.st_size == 0) throw fail("is empty");
  const std::lock_guard<std::mutex> lock(registry_mutex());
  auto& files = registry();
  for (auto it = files.begin(); it != files.end();)
    it = it->second.expired() ? files.erase(it) : std::next(it);
  auto& known = files[identity_of(status)];
  if (auto shared = known.lock()) return shared;
  const auto size = static_cast<size_t>(status.st_size);
  // Holes take no memory; a file system that compresses says less than it takes, which is caught by nobody.
  const uint64_t stored = std::min<uint64_t>(size, static_cast<uint64_t>(status.st_blocks) * 512);
  void* data = stored > available_memory()
                   ? MAP_FAILED
                   : mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (data == MAP_FAILED)
    throw Error("ERR_OUT_OF_MEMORY", model + ": the " + std::to_string(stored >> 20) +
                                         " MiB of its external data \"" + path + "\" do not fit into memory");
  std::shared_ptr<const WeightFile> copy(new WeightFile(static_cast<char*>(data), size));
  const bool whole = read_into(copy->data(), file.number, size);
  if (!whole && errno != 0) throw fail(std::string("cannot be read: ") + std::strerror(errno));
  struct stat after {};
  if (!whole || fstat(file.number, &after) != 0 || identity_of(after) != identity_of(status))
    throw fail("was changed while it was read");
  mprotect(data, size, PROT_READ);
  known = copy;
  return copy;
}

WeightFile::~WeightFile() { munmap(data_, size_); }

}  // namespace tr0n
