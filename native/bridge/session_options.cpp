#include "bridge/session_options.h"

#include <optional>

#include "bridge/editor_session.h"
#include "bridge/model_scan.h"
#include "bridge/process_exit.h"

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

/// A provider makes its device when the first session is: what it says then is about the machine, not the
/// model.
bool no_device(const Failure& failure) {
  return mentions(failure, {"Failed to get a WebGPU adapter", "Failed to get a WebGPU device",
                            "Failed to create a WebGPU context", "CUDA failure 100", "CUDA failure 35"});
}

/// The runtime's codes say which of its layers complained; what the caller can do about it often only the
/// text says.
const char* load_error(const Failure& failure) {
  if (failure.out_of_memory()) return "ERR_OUT_OF_MEMORY";
  if (failure.code == StatusCode::no_such_file) return "ERR_MODEL_NOT_FOUND";
  if (failure.code == StatusCode::not_implemented ||
      mentions(failure,
               {"Unsupported model IR version", "is not a registered function/op", "No Op registered for",
                "No opset import for domain", "under development and support for this is limited",
                "Could not find an implementation", "no suitable implementation"}))
    return "ERR_MODEL_UNSUPPORTED";
  return "ERR_MODEL_INVALID";
}

/// Opening a session on a device uploads its weights in the device's order.
RunGate* gate_of(const SessionConfig& config) { return config.device ? &config.device->gate() : nullptr; }

/// Makes the runtime give up opening a session when the token is cancelled, where it can.
class CancellableLoad {
 public:
  CancellableLoad(CancelToken* cancel, ort::SessionOptions* options) {
    const ort::SetLoadCancellation set = Runtime::instance().set_load_cancellation();
    if (cancel == nullptr || set == nullptr) return;
    hook_.emplace(*cancel, [set, options] { ort::take(Runtime::instance().api(), set(options, true)); });
  }

 private:
  std::optional<CancelToken::Hook> hook_;
};

ort::SessionHandle finish(const ort::Api& api, ort::Status* status, ort::RawSession* session,
                          const SessionConfig& config) {
  const Failure failure = ort::take(api, status);
  if (failure && config.cancel != nullptr) config.cancel->throw_if_cancelled();
  if (failure && config.device && no_device(failure))
    throw Error("ERR_DEVICE_UNAVAILABLE", config.name + ": \"" + config.device->name() +
                                              "\" cannot be used: the GPU's driver does not offer what ONNX "
                                              "Runtime needs; a newer driver may: " +
                                              failure.message);
  if (failure && config.device && failure.device_lost())
    throw lost_device(config.name, *config.device, "while the model was opened on it", failure);
  if (failure)
    throw Error(load_error(failure), config.name + ": ONNX Runtime refuses the model: " + failure.message);
  register_process_exit();  // some of the library's exit handlers appear with its first session
  return ort::SessionHandle(session);
}

/// The runtime would open the files that such a model names by itself: relative to whatever it takes for the
/// model's folder, through links, and as mappings. It is never given one.
void refuse_external(const ModelBytes& bytes, const std::string& name) {
  const auto constant = external_constant(bytes, name);
  if (constant)
    throw Error("ERR_MODEL_UNSUPPORTED",
                name + ": the numbers of its constant \"" + *constant + "\" lie in another file");
}

}  // namespace

PreparedOptions::PreparedOptions(const SessionConfig& config) {
  const ort::Api& api = Runtime::instance().api();
  ort::SessionOptions* raw = nullptr;
  ort::check(api, api.CreateSessionOptions(&raw));
  options.reset(raw);
  ort::check(api, api.SetIntraOpNumThreads(raw, config.threads));
  ort::check(api, api.SetInterOpNumThreads(raw, 1));
  ort::check(api, api.SetSessionLogSeverityLevel(raw, ort::kLogFatal));
  ort::check(api, api.SetSessionGraphOptimizationLevel(raw, ort::kOptimizeAll));
  // Idle threads sleep: they share the machine with our own and with the event loop.
  ort::check(api, api.AddSessionConfigEntry(raw, "session.intra_op.allow_spinning", "0"));
  ort::check(api, api.AddSessionConfigEntry(raw, "session.inter_op.allow_spinning", "0"));
  // Patterns are kept per input shape for ever; with a symbolic batch that is a slow leak.
  ort::check(api, api.DisableMemPattern(raw));
  // A product with a quantised matrix is one of real numbers, as the model says. By default the runtime fuses
  // the two and rounds the other operand to eight bits: a few per mille of an output, and a function without
  // slopes.
  ort::check(api, api.AddSessionConfigEntry(raw, "session.qdq_matmulnbits_accuracy_level", "1"));
  if (!config.pack_weights)
    ort::check(api, api.AddSessionConfigEntry(raw, "session.disable_prepacking", "1"));
  if (!config.fold_weights) {
    const auto entry = [&](const char* key, const char* value) {
      ort::check(api, api.AddSessionConfigEntry(raw, key, value));
    };
    entry("optimization.constant_folding_max_output_size_in_bytes", "65536");
    // It does the same to float16, whatever the size.
    entry("optimization.disable_specified_optimizers", "FuseFp16InitializerToFp32NodeTransformer");
  }
  // No guessing from names or first bytes: what was looked at is what is parsed.
  ort::check(api, api.AddSessionConfigEntry(raw, "session.load_model_format", "ONNX"));
  if (!config.device && Runtime::instance().has_pool())
    ort::check(api, api.AddSessionConfigEntry(raw, "session.use_env_allocators", "1"));
  if (config.device) {
    const RunGate::Turn turn(gate_of(config), config.cancel);
    config.device->append(raw, config.device_settings);
    device = config.device;
    ort::check(api, api.AddSessionConfigEntry(raw, "session.record_ep_graph_assignment_info", "1"));
  }
  if (config.weights.empty()) return;
  weights = std::make_unique<const SharedWeights>(config.weights, config.name);
  packed = weights->packed();
  for (size_t i = 0; i < config.weights.size(); ++i) {
    if (!config.weights[i].shared) continue;
    values.push_back(weights->value(i));
    ranges.push_back(weights->range(i));
    // The session uses the memory itself, and shares what it packs of it.
    ort::check(api, api.AddInitializer(raw, config.weights[i].name.c_str(), values.back().get()));
  }
}

/// The options hold the provider, which holds the device.
PreparedOptions::~PreparedOptions() {
  const RunGate::Turn turn(device ? &device->gate() : nullptr, nullptr);
  options.reset();
}

std::string model_file_name(const std::string& path, const std::string& name) {
  return std::string(name).append(": \"").append(path).append("\"");
}

ort::SessionHandle open_file(const OpenedFile& file, const PreparedOptions& options,
                             const SessionConfig& config) {
  refuse_external(file_bytes(file), config.name);
  Runtime& runtime = Runtime::instance();
  ort::RawSession* session = nullptr;
  const CancellableLoad load(config.cancel, options.options.get());
  const RunGate::Turn turn(gate_of(config), config.cancel);
  ort::Status* status = runtime.api().CreateSession(runtime.env(), file.runtime_path().c_str(),
                                                    options.options.get(), &session);
  ort::SessionHandle handle = finish(runtime.api(), status, session, config);
  file.check_unchanged();
  return handle;
}

ort::SessionHandle open_bytes(const void* bytes, size_t size, PreparedOptions& options,
                              const SessionConfig& config) {
  if (size == 0) throw Error("ERR_MODEL_INVALID", config.name + ": the model has 0 bytes");
  refuse_external(memory_bytes(bytes, size), config.name);
  Runtime& runtime = Runtime::instance();
  ort::RawSession* session = nullptr;
  const ort::Api& api = runtime.api();
  const CancellableLoad load(config.cancel, options.options.get());
  const RunGate::Turn turn(gate_of(config), config.cancel);
  ort::Status* status =
      config.weights.empty()
          ? api.CreateSessionFromArray(runtime.env(), bytes, size, options.options.get(), &session)
          : open_with_weights(bytes, size, options, config.weights, &session);
  return finish(api, status, session, config);
}

}  // namespace tr0n
