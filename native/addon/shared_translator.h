#pragma once
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "addon/counters.h"
#include "core/translator.h"

namespace tr0n::addon {

/// One state of a translator's parameters. They are allocated and drawn when somebody first needs them: for a
/// thousand classes that takes tenths of a second, which a job has and the JavaScript thread has not.
class TranslatorVersion {
 public:
  TranslatorVersion(const TranslatorConfig& config, uint64_t seed)
      : config_(config), parameters_(Translator::layout(config)), seed_(seed) {}
  TranslatorVersion(const TranslatorVersion& other, std::vector<float> values)
      : config_(other.config_), parameters_(other.parameters_), seed_(0), values_(std::move(values)) {}

  const TranslatorConfig& config() const { return config_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  size_t parameter_count() const { return parameters_.back().offset + parameters_.back().size; }

  const Translator& get() const {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!translator_) {
      if (values_.empty()) {
        translator_ = std::make_unique<const Translator>(cpu_device(), config_, seed_);
      } else {
        translator_ =
            std::make_unique<const Translator>(cpu_device(), config_, values_.data(), values_.size());
        values_ = {};
      }
    }
    return *translator_;
  }

 private:
  TranslatorConfig config_;
  std::vector<Parameter> parameters_;
  uint64_t seed_;
  mutable std::mutex mutex_;
  mutable std::vector<float> values_;
  mutable std::unique_ptr<const Translator> translator_;
};

/// A translator that jobs read while others change it: readers keep the version they began with, writers put
/// a new one in its place. Nobody waits for anybody, and no job ever sees half of an update.
class SharedTranslator {
 public:
  SharedTranslator(const TranslatorConfig& config, uint64_t seed)
      : current_(std::make_shared<const TranslatorVersion>(config, seed)) {}

  std::shared_ptr<const TranslatorVersion> current() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return current_;
  }
  /// All of them, flat.
  void set_values(std::vector<float> values) {
    const auto next = std::make_shared<const TranslatorVersion>(*current(), std::move(values));
    std::lock_guard<std::mutex> lock(mutex_);
    current_ = next;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TranslatorVersion> current_;
  Live live_{Kind::translator};
};

}  // namespace tr0n::addon
