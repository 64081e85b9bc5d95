#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "bridge/ort_runtime.h"

namespace tr0n {

class ModelDevice;

/// Values that a run made, with the session, whose memory they lie in. On a device they go in its turn,
/// together: what holds its buffers is shared by all of its sessions.
class RuntimeValues {
 public:
  /// `device` is null for the CPU's.
  RuntimeValues(std::shared_ptr<ort::RawSession> session, std::shared_ptr<ModelDevice> device)
      : session_(std::move(session)), device_(std::move(device)) {}
  ~RuntimeValues();
  RuntimeValues(const RuntimeValues&) = delete;
  RuntimeValues& operator=(const RuntimeValues&) = delete;

  ort::Value* keep(ort::ValueHandle value) {
    values_.push_back(std::move(value));
    return values_.back().get();
  }

 private:
  const std::shared_ptr<ort::RawSession> session_;
  const std::shared_ptr<ModelDevice> device_;
  std::vector<ort::ValueHandle> values_;
};

}  // namespace tr0n
