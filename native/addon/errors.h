#pragma once
#include <napi.h>

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"

namespace tr0n::addon {

/// A JavaScript Error with a `code`, and a `trace` where there is one.
inline Napi::Value make_error(Napi::Env env, const std::string& code, const std::string& message,
                              const std::vector<float>& trace = {}) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  if (!trace.empty()) {
    Napi::Float32Array values = Napi::Float32Array::New(env, trace.size());
    std::copy(trace.begin(), trace.end(), values.Data());
    error.Set("trace", values);
  }
  return error.Value();
}

[[noreturn]] inline void throw_js(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

/// Runs the body of a function that JavaScript called; native exceptions become JavaScript ones.
template <class Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Error& error) {
    throw_js(env, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw_js(env, "ERR_OUT_OF_MEMORY", "an allocation failed");
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw_js(env, "ERR_INTERNAL", error.what());
  }
}

}  // namespace tr0n::addon
