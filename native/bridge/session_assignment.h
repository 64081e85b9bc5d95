#pragma once
#include <optional>
#include <string>
#include <vector>

#include "bridge/session.h"

namespace tr0n {

/// A node of a session's model, as the runtime gave it to a provider.
struct AssignedNode {
  std::string provider;  ///< as the runtime calls it, such as "CPUExecutionProvider"
  std::string name, domain, op_type;
};

/// Which provider got which nodes; nothing where the runtime does not tell: for sessions on the CPU, and by
/// runtimes before 1.24.
std::optional<std::vector<AssignedNode>> assignment(const Session& session);

}  // namespace tr0n
