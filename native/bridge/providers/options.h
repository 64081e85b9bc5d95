#pragma once
#include <string>
#include <utility>
#include <vector>

namespace tr0n {

/// Options of a provider by name, in the two arrays that ONNX Runtime takes.
class ProviderOptions {
 public:
  void set(std::string key, std::string value) { options_.emplace_back(std::move(key), std::move(value)); }
  size_t size() const { return options_.size(); }
  /// Valid as long as this is and is not changed.
  std::vector<const char*> keys() const {
    std::vector<const char*> all;
    for (const auto& option : options_) all.push_back(option.first.c_str());
    return all;
  }
  std::vector<const char*> values() const {
    std::vector<const char*> all;
    for (const auto& option : options_) all.push_back(option.second.c_str());
    return all;
  }

 private:
  std::vector<std::pair<std::string, std::string>> options_;
};

}  // namespace tr0n
