#include "bridge/shared_weights.h"

#include <mutex>
#include <set>

#include "bridge/session.h"

namespace tr0n {
namespace {

/// There is one copy of a file, so copies tell sets of files apart.
using Key = std::set<std::shared_ptr<const WeightFile>>;
using Registry = std::map<Key, std::weak_ptr<const SharedWeights>>;

// Leaked: sessions may be released while the process exits.
std::mutex& registry_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
Registry& registry() {
  static auto* entries = new Registry;
  return *entries;
}

size_t bytes_of(const FileWeight& weight) { return element_count(weight.shape) * type_size(weight.type); }

}  // namespace

std::shared_ptr<const SharedWeights> SharedWeights::of(const std::vector<FileWeight>& weights,
                                                       const std::string& model) {
  Files files;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<const OpenedFile>> opened;
  const auto what = [&](const FileWeight& weight) {
    return std::string(model).append(": its external data \"").append(weight.file).append("\"");
  };
  for (const FileWeight& weight : weights) {
    const std::pair key(weight.file, weight.state);
    auto& file = opened[key];
    if (!file) {
      file = std::make_unique<OpenedFile>(weight.file, what(weight), weight.state);
      files[key] = WeightFile::of(*file);
    }
    const size_t bytes = bytes_of(weight);
    if (weight.offset > file->size() || bytes > file->size() - weight.offset)
      throw Error("ERR_MODEL_INVALID", model + ": constant \"" + weight.name + "\": expected " +
                                           std::to_string(bytes) + " bytes at " +
                                           std::to_string(weight.offset) + " of \"" + weight.file +
                                           "\", which has " + std::to_string(file->size()));
    files[key]->read(*file, weight.offset, bytes, what(weight));
  }
  for (const auto& [key, file] : opened) file->check_unchanged();
  return shared(std::move(files));
}

std::shared_ptr<const SharedWeights> SharedWeights::shared(Files files) {
  Key key;
  for (const auto& file : files) key.insert(file.second);
  const std::lock_guard<std::mutex> lock(registry_mutex());
  Registry& entries = registry();
  for (auto it = entries.begin(); it != entries.end();)
    it = it->second.expired() ? entries.erase(it) : std::next(it);
  auto& known = entries[key];
  // Other paths to the same files would not be found in `files_`; such a set is not shared.
  if (auto shared = known.lock(); shared && shared->files_ == files) return shared;
  std::shared_ptr<const SharedWeights> fresh(new SharedWeights(std::move(files)));
  known = fresh;
  return fresh;
}

SharedWeights::SharedWeights(Files files) : files_(std::move(files)) {
  const ort::Api& api = ort::Runtime::instance().api();
  ort::PackedWeights* packed = nullptr;
  ort::check(api, api.CreatePrepackedWeightsContainer(&packed));
  packed_.reset(packed);
}

ort::ValueHandle SharedWeights::value(const FileWeight& weight) const {
  const size_t bytes = bytes_of(weight);
  char* data = files_.at({weight.file, weight.state})->range(weight.offset, bytes);
  return make_value(data, bytes, weight.shape.data(), weight.shape.size(), weight.type);
}

}  // namespace tr0n
