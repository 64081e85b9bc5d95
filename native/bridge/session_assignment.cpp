#include "bridge/session_assignment.h"

namespace tr0n {

using ort::Runtime;

std::optional<std::vector<AssignedNode>> assignment(const Session& session) {
  if (session.device() == nullptr) return std::nullopt;
  const Runtime& runtime = Runtime::instance();
  const ort::Api& api = runtime.api();
  const auto entry = [&](auto function, size_t index) {
    return runtime.later<decltype(function)>(ort::kAssignmentVersion, index);
  };
  const auto subgraphs_of = entry(ort::GetAssignment{}, ort::kAssignmentIndex);
  const auto provider_of = entry(ort::GetAssignedProvider{}, ort::kAssignedProviderIndex);
  const auto nodes_of = entry(ort::GetAssignedNodes{}, ort::kAssignedNodesIndex);
  const auto name_of = entry(ort::GetAssignedText{}, ort::kAssignedNameIndex);
  const auto domain_of = entry(ort::GetAssignedText{}, ort::kAssignedDomainIndex);
  const auto operator_of = entry(ort::GetAssignedText{}, ort::kAssignedOperatorIndex);
  if (!subgraphs_of || !provider_of || !nodes_of || !name_of || !domain_of || !operator_of)
    return std::nullopt;

  // All of it belongs to the session.
  const ort::AssignedSubgraph* const* subgraphs = nullptr;
  size_t count = 0;
  ort::check(api, subgraphs_of(session.handle_.get(), &subgraphs, &count));
  std::vector<AssignedNode> all;
  for (size_t i = 0; i < count; ++i) {
    const char* provider = nullptr;
    ort::check(api, provider_of(subgraphs[i], &provider));
    const ort::AssignedNode* const* nodes = nullptr;
    size_t node_count = 0;
    ort::check(api, nodes_of(subgraphs[i], &nodes, &node_count));
    for (size_t k = 0; k < node_count; ++k) {
      const char *name = nullptr, *domain = nullptr, *op_type = nullptr;
      ort::check(api, name_of(nodes[k], &name));
      ort::check(api, domain_of(nodes[k], &domain));
      ort::check(api, operator_of(nodes[k], &op_type));
      all.push_back({provider, name, domain, op_type});
    }
  }
  return all;
}

}  // namespace tr0n
