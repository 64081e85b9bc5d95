#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bridge/opened_file.h"

namespace tr0n {

/// Ranges of a file of weights, read into memory once for all who use them. They are copies on purpose: of a
/// mapping, a process that shortens the file would take the pages away, and the next access would end this
/// one (SIGBUS); one that rewrites it would change the weights between two steps. The price is that the
/// system cannot drop these pages when memory is short, and that two processes do not share them. Holes of
/// sparse files stay holes.
class WeightFile {
 public:
  /// What somebody has read of the file in this state already, or nothing yet.
  static std::shared_ptr<WeightFile> of(const OpenedFile& file);
  ~WeightFile() = default;
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  /// Reads a range that nobody has read. Throws what OpenedFile::read() does, and ERR_OUT_OF_MEMORY; `what`
  /// is how messages call the file.
  void read(const OpenedFile& file, size_t offset, size_t bytes, const std::string& what);
  /// A range that has been read, at the beginning of a page. Not const because the runtime's interface is
  /// not; it only reads, and the pages allow no more.
  char* range(size_t offset, size_t bytes) const;

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(char* data) const noexcept;
  };
  WeightFile() = default;
  mutable std::mutex mutex_;
  std::map<std::pair<size_t, size_t>, std::unique_ptr<char, Unmap>> ranges_;
};

}  // namespace tr0n
