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

}  // namespace

std::shared_ptr<const SharedWeights> SharedWeights::of(const std::vector<FileWeight>& weights,
                                                       const std::string& model) {
  Files files;
  Key key;
  for (const FileWeight& weight : weights) {
    auto& file = files[weight.file];
    if (!file) key.insert(file = WeightFile::open(weight.file, model));
  }
  const std::lock_guard<std::mutex> lock(registry_mutex());
  Registry& entries = registry();
  for (auto it = entries.begin(); it != entries.end();)
    it = it->second.expired() ? entries.erase(it) : std::next(it);
  auto& known = entries[key];
  // Other paths to the same files would not be found in `files_`; such a set is not shared.
  if (auto shared = known.lock(); shared && shared->files_ == files) return shared;
  std::shared_ptr<const SharedWeights> shared(new SharedWeights(std::move(files)));
  known = shared;
  return shared;
}

SharedWeights::SharedWeights(Files files) : files_(std::move(files)) {
  const ort::Api& api = ort::Runtime::instance().api();
  ort::PackedWeights* packed = nullptr;
  ort::check(api, api.CreatePrepackedWeightsContainer(&packed));
  packed_.reset(packed);
}

ort::ValueHandle SharedWeights::value(const FileWeight& weight, const std::string& model) const {
  const WeightFile& file = *files_.at(weight.file);
  const size_t bytes = element_count(weight.shape) * type_size(weight.type);
  if (weight.offset > file.size() || bytes > file.size() - weight.offset)
    throw Error("ERR_MODEL_INVALID", model + ": constant \"" + weight.name + "\": expected " +
                                         std::to_string(bytes) + " bytes at " +
                                         std::to_string(weight.offset) + " of \"" + weight.file +
                                         "\", which has " + std::to_string(file.size()));
  return make_value(file.data() + weight.offset, bytes, weight.shape.data(), weight.shape.size(),
                    weight.type);
}

}  // namespace tr0n
