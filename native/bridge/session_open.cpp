#include "base/closing.h"
#include "bridge/session.h"
#include "bridge/session_options.h"
#include "bridge/value_pool.h"

namespace tr0n {

using ort::Runtime;

namespace {

ValueInfo describe(const ort::Api& api, std::string name, ort::TypeInfo* raw) {
  const ort::TypeInfoHandle type(raw);
  ValueInfo value;
  value.name = std::move(name);
  int kind = 0;
  ort::check(api, api.GetOnnxTypeFromTypeInfo(raw, &kind));
  value.tensor = kind == ort::kTypeIsTensor;
  if (!value.tensor) return value;
  const ort::TensorInfo* info = nullptr;  // belongs to the type
  ort::check(api, api.CastTypeInfoToTensorInfo(raw, &info));
  int element = 0;
  ort::check(api, api.GetTensorElementType(info, &element));
  value.type = static_cast<ort::ElementType>(element);
  size_t rank = 0;
  ort::check(api, api.GetDimensionsCount(info, &rank));
  if (rank == 0) return value;
  value.shape.resize(rank);
  ort::check(api, api.GetDimensions(info, value.shape.data(), rank));
  std::vector<const char*> symbols(rank, nullptr);
  ort::check(api, api.GetSymbolicDimensions(info, symbols.data(), rank));
  for (size_t i = 0; i < rank; ++i)
    value.symbols.emplace_back(value.shape[i] < 0 && symbols[i] ? symbols[i] : "");
  return value;
}

template <class GetName, class GetType>
std::vector<ValueInfo> describe_all(size_t count, GetName get_name, GetType get_type) {
  Runtime& runtime = Runtime::instance();
  const ort::Api& api = runtime.api();
  std::vector<ValueInfo> values;
  for (size_t i = 0; i < count; ++i) {
    char* raw_name = nullptr;
    ort::check(api, get_name(i, &raw_name));
    const std::string name = raw_name;
    ort::check(api, api.AllocatorFree(runtime.allocator(), raw_name));
    ort::TypeInfo* type = nullptr;
    ort::check(api, get_type(i, &type));
    values.push_back(describe(api, name, type));
  }
  return values;
}

/// The session with what it points into, which is freed after it. One on a device is released on a thread of
/// its own: whoever lets go of it last may be the JavaScript thread, and another session may be running.
std::shared_ptr<ort::RawSession> shared_handle(ort::SessionHandle handle,
                                               std::shared_ptr<const PreparedOptions> options,
                                               std::shared_ptr<ModelDevice> device) {
  struct Held {
    struct Last {
      ~Last() { ValuePool::instance().trim(); }
    } last;
    std::shared_ptr<const PreparedOptions> options;
    std::shared_ptr<ModelDevice> device;
    ort::SessionHandle handle;
  };
  auto held = std::make_shared<Held>();
  held->options = std::move(options);
  held->device = std::move(device);
  held->handle = std::move(handle);
  ort::RawSession* raw = held->handle.get();
  if (!held->device) return {held, raw};
  const auto release = [held](ort::RawSession*) mutable {
    close_apart([last = std::move(held)] {
      {
        const RunGate::Turn turn(&last->device->gate(), nullptr);
        last->handle.reset();
      }
      last->options.reset();
      last->device.reset();
    });
  };
  return {raw, release};
}

}  // namespace

Session Session::from_file(const std::string& path, const SessionConfig& config) {
  const OpenedFile file(path, model_file_name(path, config.name), config.state);
  auto options = std::make_shared<PreparedOptions>(config);
  ort::SessionHandle session = open_file(file, *options, config);
  ValuePool::instance().trim_all();
  return Session(std::move(session), config, file.size(), std::move(options));
}

Session Session::from_bytes(const void* bytes, size_t size, const SessionConfig& config) {
  auto options = std::make_shared<PreparedOptions>(config);
  ort::SessionHandle session = open_bytes(bytes, size, *options, config);
  ValuePool::instance().trim_all();
  return Session(std::move(session), config, size, std::move(options));
}

Session::Session(ort::SessionHandle handle, const SessionConfig& config, size_t model_bytes,
                 std::shared_ptr<const PreparedOptions> options)
    : device_(config.device),
      handle_(shared_handle(std::move(handle), std::move(options), config.device)),
      name_(config.name),
      model_bytes_(model_bytes) {
  Runtime& runtime = Runtime::instance();
  const ort::Api& api = runtime.api();
  const ort::RawSession* session = handle_.get();
  size_t count = 0;
  ort::check(api, api.SessionGetInputCount(session, &count));
  inputs_ = describe_all(
      count,
      [&](size_t i, char** name) { return api.SessionGetInputName(session, i, runtime.allocator(), name); },
      [&](size_t i, ort::TypeInfo** type) { return api.SessionGetInputTypeInfo(session, i, type); });
  ort::check(api, api.SessionGetOutputCount(session, &count));
  outputs_ = describe_all(
      count,
      [&](size_t i, char** name) { return api.SessionGetOutputName(session, i, runtime.allocator(), name); },
      [&](size_t i, ort::TypeInfo** type) { return api.SessionGetOutputTypeInfo(session, i, type); });
  learn_memory();
}

}  // namespace tr0n
