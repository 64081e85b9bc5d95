#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "bridge/opened_file.h"

namespace tr0n {

/// A model's bytes wherever they are: `read` copies `count` of them from `at` on, which lie within `size`.
struct ModelBytes {
  size_t size = 0;
  std::function<void(char* into, size_t at, size_t count)> read;
};

ModelBytes memory_bytes(const void* bytes, size_t size);
/// Of a file that outlives them.
ModelBytes file_bytes(const OpenedFile& file);

/// The name of a constant whose numbers lie in another file, as "data_location: EXTERNAL" says in any order
/// of fields and in any part of the model: initializers, sparse ones, attributes of nodes, bodies of control
/// flow, functions and training; null where there is none. Only the structure is read: numbers are skipped by
/// their length, so that a model of 2 GB takes milliseconds.
///
/// It finds whatever ONNX Runtime would take for one, and more: a field that is given twice counts if either
/// says so. Throws ERR_MODEL_INVALID naming `name` for bytes that are no model.
std::optional<std::string> external_constant(const ModelBytes& bytes, const std::string& name);

}  // namespace tr0n
