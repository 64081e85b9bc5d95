#pragma once
#include <memory>
#include <mutex>

#include "addon/counters.h"
#include "core/translator.h"

namespace tr0n::addon {

/// A translator that jobs read while others change it: readers keep the version they began with, writers put
/// a new one in its place. Nobody waits for anybody, and no job ever sees half of an update.
class SharedTranslator {
 public:
  SharedTranslator(const TranslatorConfig& config, uint64_t seed)
      : current_(std::make_shared<const Translator>(cpu_device(), config, seed)) {}

  std::shared_ptr<const Translator> current() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return current_;
  }
  void set_values(const float* values, size_t count) {
    const auto next = copy(*current());
    next->set_values(values, count);
    std::lock_guard<std::mutex> lock(mutex_);
    current_ = next;
  }
  /// A version of one's own.
  static std::shared_ptr<Translator> copy(const Translator& translator) {
    auto result = std::make_shared<Translator>(translator.device(), translator.config(), 0);
    const std::vector<float> values = translator.values();
    result->set_values(values.data(), values.size());
    return result;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Translator> current_;
  Live live_{Kind::translator};
};

}  // namespace tr0n::addon
