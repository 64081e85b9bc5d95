#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bridge/ort_api.h"

namespace tr0n {

/// An input or output of a model.
struct ValueInfo {
  std::string name;
  bool tensor = false;  ///< else a sequence, a map, …: such values cannot be fed or fetched
  ort::ElementType type = ort::ElementType::undefined;
  std::vector<int64_t> shape;        ///< -1 where symbolic; empty also where the model gives no shape
  std::vector<std::string> symbols;  ///< the symbolic names, empty where fixed or anonymous
};

/// "float32", "int64", …
const char* type_name(ort::ElementType type);
/// Bytes of an element; 0 where elements have no fixed size of whole bytes.
size_t type_size(ort::ElementType type);

/// "[3, 224, ?]", the form of shapes in messages.
std::string shape_text(const std::vector<int64_t>& shape);
/// "[batch, 3, 224]": with symbolic names.
std::string shape_text(const ValueInfo& info);

/// Elements of a shape; throws ERR_INVALID_ARGUMENT where the product does not fit.
size_t element_count(const std::vector<int64_t>& shape);

}  // namespace tr0n
