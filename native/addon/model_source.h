#pragma once
#include <napi.h>

#include <string>

#include "addon/arguments.h"
#include "bridge/session.h"

namespace tr0n::addon {

/// The arguments (source, options) of functions that open a model: a path, or the model's bytes.
struct ModelSource {
  /// `reader` keeps the bytes alive for the job.
  static ModelSource read(const Napi::CallbackInfo& info, InputReader& reader);
  std::string path;  ///< empty where the model was given as bytes
  ArrayInput<uint8_t> bytes;
  SessionConfig config;
  std::string device;  ///< of the session, for open_model_device(), which takes its time
};

}  // namespace tr0n::addon
