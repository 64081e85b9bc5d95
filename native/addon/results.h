#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "bridge/host_block.h"
#include "bridge/value_info.h"

/// Native results as JavaScript values. Large ones hand their memory over, to be freed by the garbage
/// collector; small ones are copied, and so is everything where the engine forbids foreign memory (Electron).
namespace tr0n::addon {

/// `owner` keeps data alive.
Napi::Value to_array(Napi::Env env, const std::shared_ptr<void>& owner, void* data, size_t count,
                     napi_typedarray_type type);

inline Napi::Value to_array(Napi::Env env, HostBlock block, size_t count,
                            napi_typedarray_type type = napi_float32_array) {
  const auto owner = std::make_shared<HostBlock>(std::move(block));
  return to_array(env, owner, owner->data(), count, type);
}

inline napi_typedarray_type array_type(float) { return napi_float32_array; }
inline napi_typedarray_type array_type(double) { return napi_float64_array; }
inline napi_typedarray_type array_type(uint32_t) { return napi_uint32_array; }

template <class T>
Napi::Value to_array(Napi::Env env, std::vector<T> values) {
  const auto owner = std::make_shared<std::vector<T>>(std::move(values));
  return to_array(env, owner, owner->data(), owner->size(), array_type(T{}));
}

/// The typed array that carries elements of a model's type.
napi_typedarray_type array_type(ort::ElementType type);
/// The element type that a typed array carries.
ort::ElementType element_type(napi_typedarray_type type);

Napi::Value to_shape(Napi::Env env, const std::vector<int64_t>& shape);

/// Whether memory is handed over at all; tests turn it off to see the other way.
void allow_external_memory(bool allowed);

}  // namespace tr0n::addon
