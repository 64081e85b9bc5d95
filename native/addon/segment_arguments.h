#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "bridge/segment.h"

namespace tr0n::addon {

/// NativeSegment[] of lib/native/types; empty where absent.
std::vector<std::shared_ptr<const Segment>> read_segments(const Napi::Value& value, const std::string& name);

}  // namespace tr0n::addon
