#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "bridge/ort_runtime.h"

namespace tr0n {

/// Values that a run made.
class RuntimeValues {
 public:
  RuntimeValues() = default;
  RuntimeValues(const RuntimeValues&) = delete;
  RuntimeValues& operator=(const RuntimeValues&) = delete;

  ort::Value* keep(ort::ValueHandle value) {
    values_.push_back(std::move(value));
    return values_.back().get();
  }

 private:
  std::vector<ort::ValueHandle> values_;
};

}  // namespace tr0n
