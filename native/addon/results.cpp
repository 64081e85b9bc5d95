#include "addon/results.h"

#include <atomic>
#include <cstring>

#include "base/error.h"

namespace tr0n::addon {

using ort::ElementType;

namespace {

/// A finalizer costs more than copying this much.
constexpr size_t kCopyBelow = size_t{16} << 10;
std::atomic<bool> external_allowed{true};

size_t element_size(napi_typedarray_type type) { return type_size(element_type(type)); }

napi_value external_buffer(Napi::Env env, const std::shared_ptr<void>& owner, void* data, size_t bytes) {
  if (bytes < kCopyBelow || !external_allowed.load()) return nullptr;
  auto* handed = new std::shared_ptr<void>(owner);
  napi_value buffer = nullptr;
  const auto finalize = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<void>*>(hint); };
  if (napi_create_external_arraybuffer(env, data, bytes, finalize, handed, &buffer) == napi_ok) return buffer;
  delete handed;
  return nullptr;
}

}  // namespace

void allow_external_memory(bool allowed) { external_allowed.store(allowed); }

Napi::Value to_array(Napi::Env env, const std::shared_ptr<void>& owner, void* data, size_t count,
                     napi_typedarray_type type) {
  const size_t bytes = count * element_size(type);
  napi_value buffer = external_buffer(env, owner, data, bytes);
  if (!buffer) {
    void* copy = nullptr;
    if (napi_create_arraybuffer(env, bytes, &copy, &buffer) != napi_ok) throw std::bad_alloc();
    if (bytes > 0) std::memcpy(copy, data, bytes);
  }
  napi_value array = nullptr;
  if (napi_create_typedarray(env, type, count, buffer, 0, &array) != napi_ok) throw Napi::Error::New(env);
  return Napi::Value(env, array);
}

napi_typedarray_type array_type(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return napi_float32_array;
    case ElementType::float64:
      return napi_float64_array;
    case ElementType::int8:
      return napi_int8_array;
    case ElementType::uint8:
    case ElementType::boolean:
      return napi_uint8_array;
    case ElementType::int16:
      return napi_int16_array;
    case ElementType::uint16:
    case ElementType::float16:
    case ElementType::bfloat16:
      return napi_uint16_array;
    case ElementType::int32:
      return napi_int32_array;
    case ElementType::uint32:
      return napi_uint32_array;
    case ElementType::int64:
      return napi_bigint64_array;
    case ElementType::uint64:
      return napi_biguint64_array;
    default:
      throw Error("ERR_MODEL_UNSUPPORTED", std::string("values of type ") + type_name(type));
  }
}

ElementType element_type(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
      return ElementType::float32;
    case napi_float64_array:
      return ElementType::float64;
    case napi_int8_array:
      return ElementType::int8;
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return ElementType::uint8;
    case napi_int16_array:
      return ElementType::int16;
    case napi_uint16_array:
      return ElementType::uint16;
    case napi_int32_array:
      return ElementType::int32;
    case napi_uint32_array:
      return ElementType::uint32;
    case napi_bigint64_array:
      return ElementType::int64;
    case napi_biguint64_array:
      return ElementType::uint64;
    default:
      return ElementType::undefined;
  }
}

Napi::Value to_shape(Napi::Env env, const std::vector<int64_t>& shape) {
  Napi::Array array = Napi::Array::New(env, shape.size());
  for (size_t i = 0; i < shape.size(); ++i)
    array.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(shape[i])));
  return array;
}

}  // namespace tr0n::addon
