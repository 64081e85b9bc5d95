#pragma once
#include <array>
#include <atomic>
#include <cstddef>

namespace tr0n::addon {

/// Kinds of native objects that counters() reports.
enum class Kind : size_t {
  session,
  translator,
  trainer,
  objective,
  row_map,
  torch_model,
  device,
  job,
  count
};

inline std::atomic<int>& live_count(Kind kind) {
  static std::array<std::atomic<int>, static_cast<size_t>(Kind::count)> counts{};
  return counts[static_cast<size_t>(kind)];
}

/// A member that counts its owner, in the whole process.
class Live {
 public:
  explicit Live(Kind kind) : kind_(kind) { live_count(kind_).fetch_add(1); }
  ~Live() { live_count(kind_).fetch_sub(1); }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

 private:
  Kind kind_;
};

}  // namespace tr0n::addon
