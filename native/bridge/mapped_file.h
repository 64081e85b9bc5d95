#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace tr0n {

/// A file of weights in memory, read-only: its pages are the file's own, so that all who map it share them
/// and the system can drop them when memory is short. Whoever shortens the file while it is mapped takes the
/// weights away from under the runtime; files are to be replaced (written beside and renamed), not rewritten.
class MappedFile {
 public:
  /// The mapping of a file that is mapped already, or a new one. Throws ERR_MODEL_NOT_FOUND naming `model`.
  static std::shared_ptr<const MappedFile> open(const std::string& path, const std::string& model);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// Not const because the runtime's interface is not; it only reads.
  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MappedFile(char* data, size_t size) : data_(data), size_(size) {}
  char* data_;
  size_t size_;
};

}  // namespace tr0n
