#include "bridge/opened_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace tr0n {
namespace {

std::string state_of(const struct stat& status) {
#if defined(__APPLE__)
  const timespec& changed = status.st_mtimespec;
#else
  const timespec& changed = status.st_mtim;
#endif
  const long long nanoseconds = static_cast<long long>(changed.tv_sec) * 1'000'000'000 + changed.tv_nsec;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" +
         std::to_string(status.st_size) + ":" + std::to_string(nanoseconds);
}

/// The part of a file from `at` on that holds data and no hole: begin, end. Empty where no more data follow.
std::pair<size_t, size_t> next_data(int file, size_t at, size_t end) {
#ifdef SEEK_DATA
  const off_t begin = lseek(file, static_cast<off_t>(at), SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return {end, end};
  const off_t hole = begin < 0 ? -1 : lseek(file, begin, SEEK_HOLE);
  if (hole >= 0) return {std::min(static_cast<size_t>(begin), end), std::min(static_cast<size_t>(hole), end)};
#endif
  return {at, end};
}

}  // namespace

OpenedFile::OpenedFile(const std::string& path, std::string what, const std::string& state)
    : path_(path),
      what_(std::move(what)),
      // Not blocking: a pipe without a writer must not hold the caller up.
      descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  struct stat status {};
  const auto fail = [&](const char* code, const std::string& why) {
    if (descriptor_ >= 0) close(descriptor_);
    throw Error(code, what_ + " " + why);
  };
  if (descriptor_ < 0 || fstat(descriptor_, &status) != 0)
    fail("ERR_MODEL_NOT_FOUND", std::string("cannot be read: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail("ERR_MODEL_NOT_FOUND", "is not a file");
  if (status.st_size == 0) fail("ERR_MODEL_INVALID", "is empty");
  size_ = static_cast<size_t>(status.st_size);
  stored_ = std::min(size_, static_cast<size_t>(status.st_blocks) * 512);
  state_ = state_of(status);
  if (!state.empty() && state != state_)
    fail("ERR_MODEL_INVALID", "has changed since it was loaded; load the model again");
}

OpenedFile::~OpenedFile() { close(descriptor_); }

std::string OpenedFile::runtime_path() const {
#if defined(__linux__)
  const std::string open = "/proc/self/fd/" + std::to_string(descriptor_);
#else
  const std::string open = "/dev/fd/" + std::to_string(descriptor_);
#endif
  return access(open.c_str(), R_OK) == 0 ? open : path_;
}

void OpenedFile::read(char* into, size_t at, size_t count, bool zeroed) const {
  const size_t end = at + count;
  for (size_t from = at; from < end;) {
    const auto [begin, stop] = zeroed ? next_data(descriptor_, from, end) : std::make_pair(from, end);
    for (from = begin; from < stop;) {
      constexpr size_t most = size_t{1} << 30;
      const ssize_t got =
          pread(descriptor_, into + (from - at), std::min(stop - from, most), static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0)
        throw Error("ERR_MODEL_NOT_FOUND", what_ + " cannot be read: " + std::string(std::strerror(errno)));
      if (got == 0) throw Error("ERR_MODEL_INVALID", what_ + " was changed while it was read");
      from += static_cast<size_t>(got);
    }
  }
}

void OpenedFile::check_unchanged() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0 || state_of(status) != state_)
    throw Error("ERR_MODEL_INVALID", what_ + " was changed while it was read");
}

}  // namespace tr0n
