#pragma once
#include <cstddef>
#include <string>

namespace tr0n {

/// A regular file, open for reading. Nothing is ever mapped of it: of a mapping, a process that shortens the
/// file would take the pages away, and the next access would end this one (SIGBUS).
class OpenedFile {
 public:
  /// `what` is how messages call it. `state` is what the file must be, as state() says it; any serves where
  /// it is empty. Throws ERR_MODEL_NOT_FOUND, or ERR_MODEL_INVALID for another state.
  OpenedFile(const std::string& path, std::string what, const std::string& state = "");
  ~OpenedFile();
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;

  size_t size() const { return size_; }
  /// Bytes that it takes on its disk: less than its size where it has holes.
  size_t stored() const { return stored_; }
  /// Device, inode, size and time of change: equal for the same file, unchanged. lib/base/file-state.ts says
  /// the same of files that it looks at.
  const std::string& state() const { return state_; }
  /// A path to this very file, whatever has come to its place since; the one that it was opened by where the
  /// system has no such paths.
  std::string runtime_path() const;

  /// Reads exactly these bytes, holes being zeros that `into` must hold already where `zeroed` is set. Throws
  /// ERR_MODEL_INVALID when the file ends before them.
  void read(char* into, size_t at, size_t count, bool zeroed = false) const;
  /// Throws ERR_MODEL_INVALID when the file has changed since it was opened.
  void check_unchanged() const;

 private:
  std::string path_, what_, state_;
  int descriptor_;
  size_t size_ = 0, stored_ = 0;
};

}  // namespace tr0n
