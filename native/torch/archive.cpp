#include "torch/archive.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <cstring>

#include "torch/code.h"
#include "torch/errors.h"
#include "torch/half_weights.h"
#include "torch/pickle.h"
#include "torch/storages.h"
#include "torch/values.h"

namespace tr0n::torchscript {
namespace {

using caffe2::serialize::PyTorchStreamReader;

class MemoryReader : public caffe2::serialize::ReadAdapterInterface {
 public:
  MemoryReader(const void* bytes, size_t size) : bytes_(static_cast<const char*>(bytes)), size_(size) {}
  size_t size() const override { return size_; }
  size_t read(uint64_t position, void* buffer, size_t count, const char*) const override {
    if (position >= size_) return 0;
    const size_t there = std::min<size_t>(count, size_ - position);
    std::memcpy(buffer, bytes_ + position, there);
    return there;
  }

 private:
  const char* bytes_;
  size_t size_;
};

/// TorchScript has code; torch.save() writes the same kind of archive without.
void check_kind(PyTorchStreamReader& archive, const std::string& name) {
  const bool data = archive.hasRecord("data.pkl");
  if (data && archive.hasRecord("constants.pkl")) return;
  if (archive.hasRecord("model.json"))
    throw Failure(
        "ERR_MODEL_UNSUPPORTED",
        name +
            ": TorchScript of PyTorch 1.0 or 1.1, which is not read any more: load it by torch.jit.load() in "
            "Python, and save it again");
  if (data)
    throw Failure(
        "ERR_MODEL_INVALID",
        name +
            ": expected TorchScript, got what torch.save() writes (a state dict, or a pickled module): "
            "it has no code. Export the module with torch.jit.trace(module, example).save(path) or "
            "torch.jit.script(module).save(path)");
  throw Failure("ERR_MODEL_INVALID", name + ": expected TorchScript, got another zip archive");
}

class Reader {
 public:
  Reader(PyTorchStreamReader& archive, const std::string& name, c10::Device device, bool trusted)
      : archive_(archive), device_(device), code_(archive, constants_, name, trusted) {}

  torch::jit::Module read() {
    const c10::IValue constants = part("constants");
    if (!constants.isTuple()) throw Damaged("constants.pkl: expected a tuple");
    constants_ = constants.toTuple()->elements().vec();
    for (c10::IValue& value : constants_)
      if (value.isTensor()) value = widened(value.toTensor());
    const c10::IValue root = part("data");
    if (!root.isObject() || !root.toObject()->type()->is_module())
      throw Damaged("data.pkl: expected a module");
    code_.review();
    return torch::jit::Module(root.toObject());
  }

 private:
  c10::IValue part(const std::string& which) {
    const std::string record = which + ".pkl";
    const auto [data, size] = archive_.getRecord(record);
    const pickle::Document document({static_cast<const char*>(data.get()), size}, record);
    Storages storages(archive_, which, device_);
    return Values(document, storages, code_).root(c10::AnyType::get());
  }

  PyTorchStreamReader& archive_;
  const c10::Device device_;
  std::vector<c10::IValue> constants_;
  Code code_;
};

/// How many modules there are when each is counted wherever it is; libtorch walks them so.
double paths(const c10::intrusive_ptr<c10::ivalue::Object>& object,
             std::map<const c10::ivalue::Object*, double>& known) {
  const auto found = known.find(object.get());
  if (found != known.end()) return found->second;
  double count = 1;
  for (const c10::IValue& slot : object->slots())
    if (slot.isObject()) count += paths(slot.toObject(), known);
  return known[object.get()] = count;
}

}  // namespace

torch::jit::Module read_archive(const void* bytes, size_t size, const std::string& name, c10::Device device,
                                bool trusted) {
  PyTorchStreamReader archive(std::make_shared<MemoryReader>(bytes, size));
  check_kind(archive, name);
  torch::jit::Module module = Reader(archive, name, device, trusted).read();
  std::map<const c10::ivalue::Object*, double> known;
  if (paths(module._ivalue(), known) > 1e6)
    throw Damaged("data.pkl: modules that contain each other too often");
  return module;
}

}  // namespace tr0n::torchscript
