#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bridge/opened_file.h"

namespace tr0n {

/// A range of a file of weights in memory, at the beginning of a page. Not const because the runtime's
/// interface is not; who has it only reads, and the pages allow no more.
using WeightRange = std::shared_ptr<char>;

/// Ranges of a file of weights, read into memory once for all who use them at the same time, and gone with
/// the last of them. They are copies on purpose: of a mapping, a process that shortens the file would take
/// the pages away, and the next access would end this one (SIGBUS); one that rewrites it would change the
/// weights between two steps. The price is that the system cannot drop these pages when memory is short, and
/// that two processes do not share them. Holes of sparse files stay holes.
class WeightFile : public std::enable_shared_from_this<WeightFile> {
 public:
  /// What somebody has read of the file in this state already, or nothing yet.
  static std::shared_ptr<WeightFile> of(const OpenedFile& file);
  ~WeightFile() = default;
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  /// A range, read where nobody has it; null without bytes. Throws what OpenedFile::read() does, and
  /// ERR_OUT_OF_MEMORY; `what` is how messages call the file.
  WeightRange range(const OpenedFile& file, size_t offset, size_t bytes, const std::string& what);

 private:
  WeightFile() = default;
  std::mutex mutex_;
  std::map<std::pair<size_t, size_t>, std::weak_ptr<char>> ranges_;
};

/// Bytes of all ranges that are in memory now.
size_t resident_weight_bytes();

}  // namespace tr0n
