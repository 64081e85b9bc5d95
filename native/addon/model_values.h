#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "addon/arguments.h"
#include "bridge/session.h"

/// Models' values as JavaScript sees them: NativeValueInfo and NativeTensor of lib/native/types.
namespace tr0n::addon {

Napi::Value describe_values(Napi::Env env, const std::vector<ValueInfo>& values);

/// Copies of inputs; to be kept for as long as the inputs are used.
using InputCopies = std::vector<ArrayCopy>;

/// A NativeTensor as a model is fed with it. `reader` keeps its memory alive.
TensorView read_tensor(InputReader& reader, const Napi::Value& value, const std::string& name,
                       InputCopies& copies);

/// Hands the memory over.
Napi::Object to_tensor(Napi::Env env, TensorValue value);

}  // namespace tr0n::addon
