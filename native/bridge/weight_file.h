#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace tr0n {

/// A file of weights, read into memory once for all who use it. It is a copy on purpose: of a mapping, a
/// process that shortens the file would take the pages away, and the next access would end this one (SIGBUS);
/// one that rewrites it would change the weights between two steps. The price is that the system cannot drop
/// these pages when memory is short, and that two processes do not share them. Holes of sparse files stay
/// holes.
class WeightFile {
 public:
  /// The copy of a file in this state that somebody has already, or a new one. Throws ERR_MODEL_NOT_FOUND or
  /// ERR_OUT_OF_MEMORY naming `model`.
  static std::shared_ptr<const WeightFile> open(const std::string& path, const std::string& model);
  ~WeightFile();
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  /// Not const because the runtime's interface is not; it only reads, and the pages allow no more.
  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  WeightFile(char* data, size_t size) : data_(data), size_(size) {}
  char* data_;
  size_t size_;
};

}  // namespace tr0n
