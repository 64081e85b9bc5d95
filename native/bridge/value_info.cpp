#include "bridge/value_info.h"

#include <limits>

#include "base/error.h"

namespace tr0n {

using ort::ElementType;

const char* type_name(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return "float32";
    case ElementType::uint8:
      return "uint8";
    case ElementType::int8:
      return "int8";
    case ElementType::uint16:
      return "uint16";
    case ElementType::int16:
      return "int16";
    case ElementType::int32:
      return "int32";
    case ElementType::int64:
      return "int64";
    case ElementType::string:
      return "string";
    case ElementType::boolean:
      return "bool";
    case ElementType::float16:
      return "float16";
    case ElementType::float64:
      return "float64";
    case ElementType::uint32:
      return "uint32";
    case ElementType::uint64:
      return "uint64";
    case ElementType::complex64:
      return "complex64";
    case ElementType::complex128:
      return "complex128";
    case ElementType::bfloat16:
      return "bfloat16";
    case ElementType::undefined:
      break;
  }
  return "unknown";
}

size_t type_size(ElementType type) {
  switch (type) {
    case ElementType::uint8:
    case ElementType::int8:
    case ElementType::boolean:
      return 1;
    case ElementType::uint16:
    case ElementType::int16:
    case ElementType::float16:
    case ElementType::bfloat16:
      return 2;
    case ElementType::float32:
    case ElementType::int32:
    case ElementType::uint32:
      return 4;
    case ElementType::float64:
    case ElementType::int64:
    case ElementType::uint64:
      return 8;
    default:
      return 0;
  }
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] < 0 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

std::string shape_text(const ValueInfo& info) {
  std::string text = "[";
  for (size_t i = 0; i < info.shape.size(); ++i) {
    if (i > 0) text += ", ";
    if (info.shape[i] >= 0)
      text += std::to_string(info.shape[i]);
    else
      text += info.symbols[i].empty() ? "?" : info.symbols[i];
  }
  return text + "]";
}

size_t element_count(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (const int64_t dimension : shape) {
    const bool fits = dimension >= 0 && (dimension == 0 || count <= std::numeric_limits<size_t>::max() / 16 /
                                                                        static_cast<size_t>(dimension));
    if (!fits)
      throw Error("ERR_INVALID_ARGUMENT", "a tensor of shape " + shape_text(shape) + " is not possible");
    count *= static_cast<size_t>(dimension);
  }
  return count;
}

}  // namespace tr0n
