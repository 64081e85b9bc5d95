#pragma once
#include "addon/arguments.h"
#include "core/prior/prior_elements.h"

namespace tr0n::addon {

/// A NativePrior, checked.
PriorValues read_prior(const Napi::Value& value, const std::string& name);
/// NativeBinding.drawPrior and .priorEntropy
Napi::Value draw_prior_job(const Napi::CallbackInfo& info);
Napi::Value prior_entropy(const Napi::CallbackInfo& info);

}  // namespace tr0n::addon
