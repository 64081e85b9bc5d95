#pragma once
#include <string>

#include "bridge/host_block.h"
#include "bridge/session.h"

namespace tr0n {

/// A model as ONNX Runtime's optimiser leaves it at its level "basic": constants folded, shape arithmetic
/// done, nothing but standard operators added, names of inputs and outputs kept.
///
/// The optimiser only writes files, so a folder of its own under the system's temporary one exists while this
/// runs. Weights are part of the result, which protobuf limits to 2 GB.
///
/// Throws the codes of Session::from_file(), and ERR_IO where the temporary folder cannot be used.
HostBlock simplify_file(const std::string& path, const SessionConfig& config);
HostBlock simplify_bytes(const void* bytes, size_t size, const SessionConfig& config);
/// The same, left in a file that is not there yet.
void simplify_into(const std::string& path, const void* bytes, size_t size, const SessionConfig& config);

}  // namespace tr0n
