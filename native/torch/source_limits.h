#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace tr0n::torchscript {

/// Reads source code as far as its nesting shows, and returns how many functions and classes it defines.
/// libtorch's parser and compiler recurse over what is nested, without a bound of their own. Throws Damaged
/// naming `place` where brackets, blocks or the operators of one statement go deeper than any exported code
/// does.
size_t check_source(std::string_view text, const std::string& place);

}  // namespace tr0n::torchscript
