#include "bridge/shared_weights.h"

#include <map>
#include <mutex>
#include <set>

#include "bridge/session.h"

namespace tr0n {
namespace {

/// There is one copy of a file, so copies tell sets of files apart.
using Files = std::set<std::shared_ptr<const WeightFile>>;

/// What sessions on one set of files share.
struct Packed {
  Files files;
  ort::PackedWeightsHandle weights;
};

// Leaked: sessions may be released while the process exits.
std::mutex& registry_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}
std::map<Files, std::weak_ptr<Packed>>& registry() {
  static auto* entries = new std::map<Files, std::weak_ptr<Packed>>;
  return *entries;
}

std::shared_ptr<ort::PackedWeights> packed_for(const Files& files) {
  const std::lock_guard<std::mutex> lock(registry_mutex());
  auto& entries = registry();
  for (auto it = entries.begin(); it != entries.end();)
    it = it->second.expired() ? entries.erase(it) : std::next(it);
  auto& known = entries[files];
  std::shared_ptr<Packed> packed = known.lock();
  if (!packed) {
    const ort::Api& api = ort::Runtime::instance().api();
    ort::PackedWeights* raw = nullptr;
    ort::check(api, api.CreatePrepackedWeightsContainer(&raw));
    packed = std::make_shared<Packed>(Packed{files, ort::PackedWeightsHandle(raw)});
    known = packed;
  }
  return {packed, packed->weights.get()};
}

size_t bytes_of(const FileWeight& weight) { return element_count(weight.shape) * type_size(weight.type); }

/// The runtime's hold on ranges: each value that is made of one counts.
class Held {
 public:
  static Held& instance() {
    static auto* held = new Held;
    return *held;
  }
  ort::HostAllocator* keep(const WeightRange& range) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ranges_.emplace(range.get(), range);
    return &deleter_;
  }
  void forget(void* data) {
    WeightRange last;  // unmapped without the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = ranges_.find(data);
    if (found == ranges_.end()) return;
    last = std::move(found->second);
    ranges_.erase(found);
  }

 private:
  Held() {
    deleter_.version = ort::kHostAllocatorVersion;
    deleter_.Alloc = [](ort::HostAllocator*, size_t) -> void* { return nullptr; };
    deleter_.Free = [](ort::HostAllocator*, void* data) { instance().forget(data); };
    deleter_.Info = [](const ort::HostAllocator*) { return ort::Runtime::instance().cpu_memory(); };
  }
  std::mutex mutex_;
  std::multimap<void*, WeightRange> ranges_;
  ort::HostAllocator deleter_{};
};

}  // namespace

SharedWeights::SharedWeights(const std::vector<FileWeight>& weights, const std::string& model)
    : weights_(&weights) {
  struct File {
    std::unique_ptr<const OpenedFile> opened;
    std::shared_ptr<WeightFile> weights;
  };
  std::map<std::pair<std::string, std::string>, File> files;
  const auto what = [&](const FileWeight& weight) {
    return std::string(model).append(": its external data \"").append(weight.file).append("\"");
  };
  for (const FileWeight& weight : weights) {
    File& file = files[{weight.file, weight.state}];
    if (!file.opened) {
      file.opened = std::make_unique<OpenedFile>(weight.file, what(weight), weight.state);
      file.weights = WeightFile::of(*file.opened);
    }
    const size_t bytes = bytes_of(weight), size = file.opened->size();
    if (weight.offset > size || bytes > size - weight.offset)
      throw Error("ERR_MODEL_INVALID", model + ": constant \"" + weight.name + "\": expected " +
                                           std::to_string(bytes) + " bytes at " +
                                           std::to_string(weight.offset) + " of \"" + weight.file +
                                           "\", which has " + std::to_string(size));
    ranges_.push_back(file.weights->range(*file.opened, weight.offset, bytes, what(weight)));
  }
  Files key;
  for (const auto& entry : files) {
    entry.second.opened->check_unchanged();
    key.insert(entry.second.weights);
  }
  packed_ = packed_for(key);
}

ort::ValueHandle SharedWeights::value(size_t index) const {
  const FileWeight& weight = (*weights_)[index];
  const WeightRange& range = ranges_[index];
  if (weight.shared || !range)
    return make_value(range.get(), bytes_of(weight), weight.shape.data(), weight.shape.size(), weight.type);
  const ort::Api& api = ort::Runtime::instance().api();
  ort::Value* value = nullptr;
  ort::Status* status = api.CreateTensorWithDataAndDeleterAsOrtValue(
      Held::instance().keep(range), range.get(), bytes_of(weight), weight.shape.data(), weight.shape.size(),
      static_cast<int>(weight.type), &value);
  if (status) Held::instance().forget(range.get());
  ort::check(api, status);
  return ort::ValueHandle(value);
}

}  // namespace tr0n
