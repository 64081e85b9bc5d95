#pragma once
#include <string>
#include <vector>

#include "emulator/provider/runtime.h"

namespace tr0n::provider {

/// Why a node cannot be written into a model of its own; empty where it can.
std::string obstacle(const Node* node);

/// A part of a graph that became one node: an ONNX model of its own, its initialisers inside.
struct Part {
  std::string model;
  std::vector<std::string> inputs, outputs;  ///< in the fused node's order
  bool integer_input = false;                ///< whose values may be shapes
};
Part write_part(const Graph* graph, const Node* fused);

}  // namespace tr0n::provider
