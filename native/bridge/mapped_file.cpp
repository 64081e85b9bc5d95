#include "bridge/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "core/error.h"

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
std::map<Identity, std::weak_ptr<const MappedFile>>& registry() {
  static auto* files = new std::map<Identity, std::weak_ptr<const MappedFile>>;
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

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path, const std::string& model) {
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
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (data == MAP_FAILED) throw fail(std::string("cannot be mapped: ") + std::strerror(errno));
  std::shared_ptr<const MappedFile> mapped(new MappedFile(static_cast<char*>(data), size));
  known = mapped;
  return mapped;
}

MappedFile::~MappedFile() { munmap(data_, size_); }

}  // namespace tr0n
