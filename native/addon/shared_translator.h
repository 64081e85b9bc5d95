#pragma once
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "addon/counters.h"
#include "addon/device_reference.h"
#include "core/translator/translator.h"

namespace tr0n::addon {

/// Where a translator computes, and how.
struct Placement {
  std::shared_ptr<DeviceReference> device;
  Precision precision = Precision::fp32;
};

/// One state of a translator's parameters. They are allocated and drawn when somebody first needs them: for a
/// thousand classes that takes tenths of a second, which a job has and the JavaScript thread has not. Those
/// of a GPU stay on the host as well: a device that is lost takes nothing with it.
class TranslatorVersion {
 public:
  TranslatorVersion(const TranslatorConfig& config, uint64_t seed, Placement placement)
      : placement_(std::move(placement)),
        config_(config),
        parameters_(parameter_layout(config)),
        seed_(seed) {}
  TranslatorVersion(const TranslatorVersion& other, std::vector<float> values)
      : placement_(other.placement_),
        config_(other.config_),
        parameters_(other.parameters_),
        seed_(0),
        values_(std::move(values)) {}

  const Placement& placement() const { return placement_; }
  const TranslatorConfig& config() const { return config_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  size_t parameter_count() const { return parameters_.back().offset + parameters_.back().size; }

  const Translator& get() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!translator_) {
      Device& device = placement_.device->get();
      if (values_.empty() && !device.host_memory()) values_ = drawn();
      auto made = values_.empty()
                      ? std::make_unique<Translator>(device, config_, seed_)
                      : std::make_unique<Translator>(device, config_, values_.data(), values_.size());
      made->set_precision(placement_.precision);
      translator_ = std::move(made);
      if (device.host_memory()) values_ = {};
    }
    return *translator_;
  }

  /// All parameters, flat. Asks no GPU.
  std::vector<float> values() const {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!translator_ && values_.empty() && !placement_.device->is_cpu()) values_ = drawn();
      if (!values_.empty()) return values_;
    }
    return get().values();
  }

  /// The memory of the values, from a version that nobody else has; perhaps empty.
  std::vector<float> reclaim() const { return std::move(values_); }

 private:
  std::vector<float> drawn() const { return Translator(cpu_device(), config_, seed_).values(); }

  Placement placement_;  ///< before what lives on the device
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
  SharedTranslator(const TranslatorConfig& config, uint64_t seed, Placement placement)
      : current_(std::make_shared<const TranslatorVersion>(config, seed, std::move(placement))) {}

  std::shared_ptr<const TranslatorVersion> current() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return current_;
  }
  /// How often the parameters have been set.
  uint64_t revision() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return revision_;
  }
  /// All of them, flat. Returns the revision that they are. `spare`, where given, takes the memory of the
  /// replaced ones if no reader has them: a large array that comes from the system costs a fault for every
  /// page.
  uint64_t set_values(std::vector<float> values, std::vector<float>* spare = nullptr) {
    auto next = std::make_shared<const TranslatorVersion>(*current(), std::move(values));
    std::lock_guard<std::mutex> lock(mutex_);
    current_.swap(next);
    if (spare != nullptr && next.use_count() == 1) *spare = next->reclaim();
    return ++revision_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TranslatorVersion> current_;
  uint64_t revision_ = 0;
  Live live_{Kind::translator};
};

}  // namespace tr0n::addon
