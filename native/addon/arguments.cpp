#include "addon/arguments.h"

#include <cmath>
#include <cstring>

#include "base/memory.h"

namespace tr0n::addon {
namespace {

const char* array_name(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
      return "Int8Array";
    case napi_uint8_array:
      return "Uint8Array";
    case napi_uint8_clamped_array:
      return "Uint8ClampedArray";
    case napi_int16_array:
      return "Int16Array";
    case napi_uint16_array:
      return "Uint16Array";
    case napi_int32_array:
      return "Int32Array";
    case napi_uint32_array:
      return "Uint32Array";
    case napi_float32_array:
      return "Float32Array";
    case napi_float64_array:
      return "Float64Array";
    case napi_bigint64_array:
      return "BigInt64Array";
    case napi_biguint64_array:
      return "BigUint64Array";
    default:
      return "typed array";
  }
}

std::string number_text(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  double back = 0;
  for (int digits = 1; digits < 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::sscanf(text, "%lf", &back) == 1 && back == value) break;
  }
  return text;
}

}  // namespace

std::string describe(const Napi::Value& value) {
  if (value.IsEmpty() || value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? "true" : "false";
  if (value.IsNumber()) return number_text(value.As<Napi::Number>().DoubleValue());
  if (value.IsBigInt()) return "a bigint";
  if (value.IsSymbol()) return "a symbol";
  if (value.IsFunction()) return "a function";
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    return text.size() > 60 ? "a string of " + std::to_string(text.size()) + " bytes" : "\"" + text + "\"";
  }
  if (value.IsTypedArray()) {
    const auto array = value.As<Napi::TypedArray>();
    return std::string("a ") + array_name(array.TypedArrayType()) + " of length " +
           std::to_string(array.ElementLength());
  }
  if (value.IsArray()) return "an array of length " + std::to_string(value.As<Napi::Array>().Length());
  return "an object";
}

void throw_invalid(const std::string& name, const std::string& expected, const std::string& got) {
  throw Error("ERR_INVALID_ARGUMENT", name + ": expected " + expected + ", got " + got);
}

void throw_invalid(const std::string& name, const std::string& expected, const Napi::Value& got) {
  throw_invalid(name, expected, describe(got));
}

size_t read_size(const Napi::Value& value, const std::string& name, size_t least, size_t most) {
  const auto fail = [&]() {
    throw_invalid(name, "an integer from " + std::to_string(least) + " to " + std::to_string(most), value);
  };
  if (!value.IsNumber()) fail();
  const double number = value.As<Napi::Number>().DoubleValue();
  // Written so that NaN fails.
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) ||
      number != std::floor(number))
    fail();
  return static_cast<size_t>(number);
}

double read_number(const Napi::Value& value, const std::string& name) {
  if (!value.IsNumber()) throw_invalid(name, "a number", value);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number)) throw_invalid(name, "a finite number", value);
  return number;
}

bool read_boolean(const Napi::Value& value, const std::string& name) {
  if (!value.IsBoolean()) throw_invalid(name, "true or false", value);
  return value.As<Napi::Boolean>().Value();
}

std::string read_text(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) throw_invalid(name, "a string", value);
  return value.As<Napi::String>().Utf8Value();
}

uint64_t read_seed(const Napi::Value& value, const std::string& name) {
  bool exact = false;
  uint64_t seed = 0;
  if (value.IsBigInt()) seed = value.As<Napi::BigInt>().Uint64Value(&exact);
  if (!exact) throw_invalid(name, "a bigint from 0 to 2^64 - 1", value);
  return seed;
}

std::vector<std::string> read_texts(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw_invalid(name, "an array of strings", value);
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); ++i)
    texts.push_back(read_text(array.Get(i), name + "[" + std::to_string(i) + "]"));
  return texts;
}

std::vector<int64_t> read_shape(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw_invalid(name, "an array of integers", value);
  const auto array = value.As<Napi::Array>();
  if (array.Length() > 16) throw_invalid(name, "at most 16 dimensions", value);
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < array.Length(); ++i)
    shape.push_back(static_cast<int64_t>(
        read_size(array.Get(i), name + "[" + std::to_string(i) + "]", 0, size_t{1} << 40)));
  return shape;
}

Napi::Object read_object(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject() || value.IsArray() || value.IsFunction() || value.IsTypedArray())
    throw_invalid(name, "an object", value);
  return value.As<Napi::Object>();
}

size_t product(std::initializer_list<size_t> factors, const std::string& name) {
  size_t result = 1;
  for (const size_t factor : factors) {
    // 2^48 elements: far beyond any memory, and four bytes of each still fit a size.
    if (factor > 0 && result > (size_t{1} << 48) / factor)
      throw Error("ERR_INVALID_ARGUMENT", name + ": that many elements are not possible");
    result *= factor;
  }
  return result;
}

void require_memory(size_t bytes, const std::string& what) {
  if (bytes < (size_t{256} << 20)) return;  // not worth a look
  const uint64_t available = available_memory();
  if (bytes > available)
    throw Error("ERR_OUT_OF_MEMORY", what + " takes " + std::to_string(bytes >> 20) + " MiB, but only " +
                                         std::to_string(available >> 20) + " MiB are available");
}

namespace {

/// A typed array, or `{ owned: array }`.
struct GivenArray {
  Napi::Value array;
  bool owned = false;
};

GivenArray unwrap(const Napi::Value& value) {
  if (value.IsObject() && !value.IsTypedArray() && !value.IsArray() && !value.IsFunction()) {
    const Napi::Value owned = value.As<Napi::Object>().Get("owned");
    if (!owned.IsUndefined()) return {owned, true};
  }
  return {value, false};
}

}  // namespace

const void* InputReader::hold(const Napi::TypedArray& array, bool owned, ArrayCopy& copy) {
  // Nothing of JavaScript runs between here and the copy, so that nothing can take the memory away.
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_typedarray_type type{};
  size_t length = 0, offset = 0;
  if (napi_get_typedarray_info(array.Env(), array, &type, &length, &data, &buffer, &offset) != napi_ok ||
      length != array.ElementLength())
    throw Error("ERR_INVALID_ARGUMENT", "a typed array cannot be read");
  if (owned) {
    keep(array);
    return data;
  }
  const size_t bytes = length * array.ElementSize();
  copy = std::make_shared<const HostBlock>(bytes);
  if (bytes > 0) std::memcpy(copy->data(), data, bytes);
  return copy->data();
}

const void* InputReader::take(const Napi::Value& value, const std::string& name, napi_typedarray_type type,
                              size_t count, ArrayCopy& copy) {
  const GivenArray given = unwrap(value);
  const auto fail = [&]() {
    throw_invalid(name, std::string("a ") + array_name(type) + " of length " + std::to_string(count),
                  given.array);
  };
  if (!given.array.IsTypedArray()) fail();
  const auto array = given.array.As<Napi::TypedArray>();
  if (array.TypedArrayType() != type || array.ElementLength() != count) fail();
  return hold(array, given.owned, copy);
}

const void* InputReader::read_any(const Napi::Value& value, const std::string& name,
                                  napi_typedarray_type& type, size_t& count, ArrayCopy& copy) {
  const GivenArray given = unwrap(value);
  if (!given.array.IsTypedArray()) throw_invalid(name, "a typed array", value);
  const auto array = given.array.As<Napi::TypedArray>();
  type = array.TypedArrayType();
  count = array.ElementLength();
  return hold(array, given.owned, copy);
}

}  // namespace tr0n::addon
