#pragma once
#include <cstddef>
#include <vector>

#include "bridge/ort_runtime.h"
#include "bridge/session_options.h"

namespace tr0n {

/// Opens a session on bytes in which `weights` are inputs, with these as constants over `options.values`. The
/// runtime's optimiser sees them like any other constant and copies none. (External data would be read or
/// mapped by itself; AddExternalInitializers copies all of it for a while: 4.5 GB for a table of 2.25 GB of
/// which two rows are read.) `session` is null after a failure.
ort::Status* open_with_weights(const void* bytes, size_t size, PreparedOptions& options,
                               const std::vector<FileWeight>& weights, ort::RawSession** session);

}  // namespace tr0n
