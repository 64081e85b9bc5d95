#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "bridge/ort_runtime.h"
#include "bridge/place.h"
#include "bridge/run_gate.h"

namespace tr0n {

/// How a device is to run the models of a session.
struct ModelDeviceSettings {
  bool tf32 = false;        ///< tensor cores may round the factors of products; where there are any
  size_t memory_limit = 0;  ///< bytes of the device for values of the session's runs; 0: none
};

/// A device that models run on beside the CPU: an execution provider of ONNX Runtime on one GPU. One object
/// for a device as long as somebody holds it, and sessions do.
class ModelDevice {
 public:
  virtual ~ModelDevice() = default;
  ModelDevice(const ModelDevice&) = delete;
  ModelDevice& operator=(const ModelDevice&) = delete;

  /// "webgpu", "cuda:0"
  const std::string& name() const { return name_; }
  /// Whoever opens, runs or releases a session on the device is inside: its runs must not overlap.
  RunGate& gate() { return gate_; }

  /// Has sessions of these options run on the device. Throws ERR_DEVICE_UNAVAILABLE that says what is
  /// missing.
  virtual void append(ort::SessionOptions* options, const ModelDeviceSettings& settings) const = 0;
  /// The device whose memory and queue values of models share; null where only the runtime knows them.
  virtual std::shared_ptr<Device> compute_device() const { return nullptr; }
  /// Where values of its runs lie.
  Place place() const;
  /// What the runtime calls the device's memory: where outputs are bound to. Lives as long as this.
  virtual const ort::MemoryInfo* memory_info() const = 0;

 protected:
  explicit ModelDevice(std::string name) : name_(std::move(name)) {}

 private:
  const std::string name_;
  RunGate gate_;
};

/// What is thrown where the runtime says that a device failed; `during` is what it did, as in "during a run".
Error lost_device(const std::string& model, const ModelDevice& device, const char* during,
                  const ort::Failure& failure);

/// The device of a name: "webgpu" or "cuda:N"; null for "cpu". Throws ERR_DEVICE_UNAVAILABLE that says what
/// was tried, why it failed and what to install; ERR_INVALID_ARGUMENT for another name.
std::shared_ptr<ModelDevice> open_model_device(const std::string& name);

/// Devices that only the runtime knows and that are open now, in the whole process. device/registry.h counts
/// the others.
int open_runtime_devices();

}  // namespace tr0n
