#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bridge/process_exit.h"
#include "bridge/session.h"

namespace tr0n {

using ort::Failure;
using ort::Runtime;
using ort::StatusCode;

namespace {

bool mentions(const Failure& failure, std::initializer_list<const char*> phrases) {
  for (const char* phrase : phrases)
    if (failure.message.find(phrase) != std::string::npos) return true;
  return false;
}

/// The runtime's codes say which of its layers complained; what the caller can do about it often only the
/// text says.
const char* load_error(const Failure& failure) {
  if (failure.out_of_memory()) return "ERR_OUT_OF_MEMORY";
  if (failure.code == StatusCode::no_such_file) return "ERR_MODEL_NOT_FOUND";
  if (mentions(failure, {"External data", "external data"}) &&
      mentions(failure, {"does not exist", "No such file", "not found", "cannot open", "open file"}))
    return "ERR_MODEL_NOT_FOUND";
  if (failure.code == StatusCode::not_implemented ||
      mentions(failure,
               {"Unsupported model IR version", "is not a registered function/op", "No Op registered for",
                "No opset import for domain", "under development and support for this is limited",
                "Could not find an implementation", "no suitable implementation"}))
    return "ERR_MODEL_UNSUPPORTED";
  return "ERR_MODEL_INVALID";
}

ort::SessionOptionsHandle make_options(const ort::Api& api, const SessionConfig& config) {
  ort::SessionOptions* raw = nullptr;
  ort::check(api, api.CreateSessionOptions(&raw));
  ort::SessionOptionsHandle options(raw);
  ort::check(api, api.SetIntraOpNumThreads(raw, config.threads));
  ort::check(api, api.SetInterOpNumThreads(raw, 1));
  ort::check(api, api.SetSessionLogSeverityLevel(raw, ort::kLogFatal));
  ort::check(api, api.SetSessionGraphOptimizationLevel(raw, ort::kOptimizeAll));
  // Idle threads sleep: they share the machine with our own and with the event loop.
  ort::check(api, api.AddSessionConfigEntry(raw, "session.intra_op.allow_spinning", "0"));
  ort::check(api, api.AddSessionConfigEntry(raw, "session.inter_op.allow_spinning", "0"));
  // Patterns are kept per input shape for ever; with a symbolic batch that is a slow leak.
  ort::check(api, api.DisableMemPattern(raw));
  if (!config.external_data_folder.empty())
    ort::check(api, api.AddSessionConfigEntry(raw, "session.model_external_initializers_file_folder_path",
                                              config.external_data_folder.c_str()));
  return options;
}

ort::SessionHandle finish(const ort::Api& api, ort::Status* status, ort::RawSession* session,
                          const std::string& name) {
  const Failure failure = ort::take(api, status);
  if (failure)
    throw Error(load_error(failure), name + ": ONNX Runtime refuses the model: " + failure.message);
  register_process_exit();  // some of the library's exit handlers appear with its first session
  return ort::SessionHandle(session);
}

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

}  // namespace

Session Session::from_file(const std::string& path, const SessionConfig& config) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || access(path.c_str(), R_OK) != 0)
    throw Error("ERR_MODEL_NOT_FOUND",
                config.name + ": \"" + path + "\" cannot be read: " + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    throw Error("ERR_MODEL_NOT_FOUND", config.name + ": \"" + path + "\" is not a file");
  if (status.st_size == 0) throw Error("ERR_MODEL_INVALID", config.name + ": \"" + path + "\" is empty");
  Runtime& runtime = Runtime::instance();
  const auto options = make_options(runtime.api(), config);
  ort::RawSession* session = nullptr;
  ort::Status* result = runtime.api().CreateSession(runtime.env(), path.c_str(), options.get(), &session);
  return Session(finish(runtime.api(), result, session, config.name), config,
                 static_cast<size_t>(status.st_size));
}

Session Session::from_bytes(const void* bytes, size_t size, const SessionConfig& config) {
  if (size == 0) throw Error("ERR_MODEL_INVALID", config.name + ": the model has 0 bytes");
  Runtime& runtime = Runtime::instance();
  const auto options = make_options(runtime.api(), config);
  ort::RawSession* session = nullptr;
  ort::Status* result =
      runtime.api().CreateSessionFromArray(runtime.env(), bytes, size, options.get(), &session);
  return Session(finish(runtime.api(), result, session, config.name), config, size);
}

Session::Session(ort::SessionHandle handle, const SessionConfig& config, size_t model_bytes)
    : handle_(std::move(handle)), name_(config.name), model_bytes_(model_bytes) {
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
}

}  // namespace tr0n
