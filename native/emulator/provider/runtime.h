#pragma once
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "emulator/provider/abi.h"

namespace tr0n::provider {

/// What ends a call of ONNX Runtime into this provider.
struct Failure : std::exception {
  explicit Failure(std::string text_, StatusCode code_ = StatusCode::ep_fail)
      : text(std::move(text_)), code(code_) {}
  const char* what() const noexcept override { return text.c_str(); }
  std::string text;
  StatusCode code;
};

/// The runtime that registered this library. It stays loaded: never released.
class Runtime {
 public:
  static void open(void* const* table);
  static Runtime& get();

  const Api api;
  const EpApi ep;
  Env* env = nullptr;
  MemoryInfo* host = nullptr;

 private:
  explicit Runtime(void* const* table);
};

/// Throws what a status of the runtime says.
void check(Status* status);

/// Runs `body`; its exception becomes a status.
template <class Body>
Status* guarded(Body body) noexcept {
  const auto made = [](StatusCode code, const char* text) {
    return Runtime::get().api.CreateStatus(static_cast<int>(code), text);
  };
  try {
    body();
    return nullptr;
  } catch (const Failure& failure) {
    return made(failure.code, failure.what());
  } catch (const std::bad_alloc&) {
    return made(StatusCode::ep_fail, "Failed to allocate memory of the host");
  } catch (const std::exception& error) {
    return made(StatusCode::ep_fail, error.what());
  }
}

/// All of what an object has, by the pair of functions that count and list.
template <class Item, class Owner>
std::vector<const Item*> all(const Owner* owner, Status* (*count)(const Owner*, size_t*),
                             Status* (*list)(const Owner*, const Item**, size_t)) {
  size_t size = 0;
  check(count(owner, &size));
  std::vector<const Item*> items(size);
  if (size > 0) check(list(owner, items.data(), size));
  return items;
}

/// Empty for an optional input that is left out.
std::string name_of(const ValueInfo* value);

struct ValueDeleter {
  void operator()(Value* value) const { Runtime::get().api.ReleaseValue(value); }
};
using OwnedValue = std::unique_ptr<Value, ValueDeleter>;

/// Of a tensor.
struct Description {
  int type = 0;
  std::vector<int64_t> shape;
  size_t bytes = 0;
};
Description describe(const Value* value);

}  // namespace tr0n::provider
