#pragma once
#include <torch/csrc/jit/frontend/source_range.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tr0n::torchscript {

/// Names of classes that the types of each class's attributes mention.
using ClassGraph = std::map<std::string, std::vector<std::string>>;

/// Parses a file of an archive's code, adds its classes to `classes` by their full names ("QUALIFIER.Name"),
/// and checks that their attributes, fields and constants have what libtorch's importer takes for granted (a
/// type, a value). Throws Damaged, and what libtorch's parser throws.
void check_classes(const std::shared_ptr<torch::jit::Source>& source, const std::string& place,
                   const std::string& qualifier, ClassGraph& classes);

/// libtorch walks a class's type with all that is in it, each time as often as it is mentioned. Throws
/// Damaged where that would not end in time.
void check_sizes(const ClassGraph& classes);

}  // namespace tr0n::torchscript
