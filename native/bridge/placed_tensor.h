#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "bridge/ort_api.h"
#include "bridge/place.h"

namespace tr0n {

class RuntimeValues;

/// float32 numbers at a place: in memory that outlives this, or in a value of the runtime's.
struct PlacedTensor {
  Place place;
  std::vector<int64_t> shape;
  float* data = nullptr;  ///< an address of the host's or of the place's device; null where there is none
  ort::Value* value = nullptr;           ///< null where only the address is known
  std::shared_ptr<RuntimeValues> owner;  ///< of the value

  /// Over memory at a place. What is only read may be constant.
  static PlacedTensor over(const float* data, std::vector<int64_t> shape, const Place& place = {}) {
    return {place, std::move(shape), const_cast<float*>(data), nullptr, nullptr};
  }
};

/// Bytes of models' values that went between the host and devices, in the whole process, since it began.
struct Crossings {
  uint64_t to_device = 0, to_host = 0;
};
Crossings crossings();
void count_to_device(size_t bytes);
void count_to_host(size_t bytes);

}  // namespace tr0n
