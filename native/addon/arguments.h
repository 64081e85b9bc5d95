#pragma once
#include <napi.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/environment.h"
#include "base/error.h"
#include "bridge/host_block.h"

/// Reading arguments. Everything is checked here, on the JavaScript thread, before anything is allocated;
/// errors are ERR_INVALID_ARGUMENT and name the argument, what was expected and what came.
namespace tr0n::addon {

[[noreturn]] void throw_invalid(const std::string& name, const std::string& expected, const Napi::Value& got);
[[noreturn]] void throw_invalid(const std::string& name, const std::string& expected, const std::string& got);
/// A short description of a value for a message.
std::string describe(const Napi::Value& value);

/// Counts above this are mistakes; products of a few are checked by product().
constexpr size_t kMostRows = (size_t{1} << 32) - 1;

size_t read_size(const Napi::Value& value, const std::string& name, size_t least = 1,
                 size_t most = kMostRows);
double read_number(const Napi::Value& value, const std::string& name);
bool read_boolean(const Napi::Value& value, const std::string& name);
std::string read_text(const Napi::Value& value, const std::string& name);
uint64_t read_seed(const Napi::Value& value, const std::string& name);
std::vector<std::string> read_texts(const Napi::Value& value, const std::string& name);
std::vector<int64_t> read_shape(const Napi::Value& value, const std::string& name);
Napi::Object read_object(const Napi::Value& value, const std::string& name);
/// Absent: undefined or null.
inline bool absent(const Napi::Value& value) {
  return value.IsEmpty() || value.IsUndefined() || value.IsNull();
}

/// a·b·… or ERR_INVALID_ARGUMENT where that many elements cannot be.
size_t product(std::initializer_list<size_t> factors, const std::string& name);
/// ERR_OUT_OF_MEMORY, with what is needed and what is there, where a request cannot fit into this machine.
/// The kernel would grant it and end the process later.
void require_memory(size_t bytes, const std::string& what);

/// The fields of an options object, read by name.
class Fields {
 public:
  Fields(const Napi::Value& value, std::string name)
      : object_(read_object(value, name)), name_(std::move(name)) {}
  Napi::Value get(const char* key) const { return object_.Get(key); }
  std::string path(const char* key) const { return name_ + "." + key; }
  bool has(const char* key) const { return !absent(get(key)); }

  size_t size(const char* key, size_t least = 1, size_t most = kMostRows) const {
    return read_size(get(key), path(key), least, most);
  }
  std::string text(const char* key) const { return read_text(get(key), path(key)); }
  /// Left as they are where the field is absent.
  void optional(const char* key, size_t& out, size_t least = 0, size_t most = kMostRows) const {
    if (has(key)) out = read_size(get(key), path(key), least, most);
  }
  void optional(const char* key, double& out) const {
    if (has(key)) out = read_number(get(key), path(key));
  }
  void optional(const char* key, float& out) const {
    if (has(key)) out = static_cast<float>(read_number(get(key), path(key)));
  }
  void optional(const char* key, bool& out) const {
    if (has(key)) out = read_boolean(get(key), path(key));
  }
  void optional(const char* key, std::string& out) const {
    if (has(key)) out = read_text(get(key), path(key));
  }
  /// One of a list of names.
  template <class Choice>
  Choice choice(const char* key, std::initializer_list<std::pair<const char*, Choice>> choices) const {
    return choice<Choice, decltype(choices)>(key, choices);
  }
  template <class Choice, class Choices>
  Choice choice(const char* key, const Choices& choices) const {
    const Napi::Value value = get(key);
    std::string names;
    for (const auto& [name, result] : choices) {
      if (value.IsString() && value.As<Napi::String>().Utf8Value() == name) return result;
      names += std::string(names.empty() ? "\"" : ", \"") + name + "\"";
    }
    throw_invalid(path(key), "one of " + names, value);
  }

 private:
  Napi::Object object_;
  std::string name_;
};

/// The copy of an array; null where the array itself is used.
using ArrayCopy = std::shared_ptr<const HostBlock>;

/// A typed array as native code sees it during a job.
template <class T>
struct ArrayInput {
  const T* data = nullptr;
  size_t size = 0;
  ArrayCopy copy;
};

/// Takes typed arrays: by copy, before the call returns. A caller may overwrite, transfer, resize or share
/// with other threads what it gave, and a job would read what it finds then, or nothing at all. Copying takes
/// some 0.2 ms a megabyte of the JavaScript thread. `{ owned: array }` says that nobody else has the array,
/// as tr0n's own modules know of what they have made: it is kept alive and used where it lies.
class InputReader {
 public:
  /// An array of T with exactly `count` elements.
  template <class T>
  ArrayInput<T> read(const Napi::Value& value, const std::string& name, size_t count) {
    ArrayInput<T> input;
    input.data = static_cast<const T*>(take(value, name, type_of<T>(), count, input.copy));
    input.size = count;
    return input;
  }
  /// Any typed array; its element type in `type`.
  const void* read_any(const Napi::Value& value, const std::string& name, napi_typedarray_type& type,
                       size_t& count, ArrayCopy& copy);
  /// Keeps an object alive as well.
  void keep(const Napi::Object& object) { kept_.push_back(Napi::Persistent(object)); }
  Environment::Kept finish() { return std::move(kept_); }

 private:
  template <class T>
  static napi_typedarray_type type_of();
  const void* take(const Napi::Value& value, const std::string& name, napi_typedarray_type type, size_t count,
                   ArrayCopy& copy);
  const void* hold(const Napi::TypedArray& array, bool owned, ArrayCopy& copy);
  Environment::Kept kept_;
};

template <>
inline napi_typedarray_type InputReader::type_of<float>() {
  return napi_float32_array;
}
template <>
inline napi_typedarray_type InputReader::type_of<uint32_t>() {
  return napi_uint32_array;
}
template <>
inline napi_typedarray_type InputReader::type_of<uint8_t>() {
  return napi_uint8_array;
}

}  // namespace tr0n::addon
