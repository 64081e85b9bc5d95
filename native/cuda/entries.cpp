#include "cuda/entries.h"

#include <cstdlib>
#include <cstring>

#include "cuda/images.h"

namespace tr0n::cuda {
namespace {

/// ".param .align 8 .b8 name[40]" → 40, ".param .u64 .ptr .align 1 name" → 8
size_t parameter_bytes(const std::string& text) {
  const size_t type = text.find('.', text.find(".param") + 1);
  size_t element = 8;
  for (size_t at = type; at < text.size(); at = text.find('.', at + 1)) {
    const char kind = text[at + 1];
    if (std::strchr("bsuf", kind) == nullptr || std::strchr("0123456789", text[at + 2]) == nullptr) continue;
    element = std::strtoull(text.c_str() + at + 2, nullptr, 10) / 8;
    break;
  }
  const size_t bracket = text.find('[');
  return bracket == std::string::npos ? element
                                      : element * std::strtoull(text.c_str() + bracket + 1, nullptr, 10);
}

}  // namespace

std::map<std::string, Entry> entries_of(const std::string& file, const char* ptx) {
  std::map<std::string, Entry> found;
  constexpr const char* keyword = ".entry ";
  for (const char* at = std::strstr(ptx, keyword); at != nullptr; at = std::strstr(at, keyword)) {
    at += std::strlen(keyword);
    const size_t length = std::strcspn(at, "( \t\n{;");
    const std::string name(at, length);
    at += length;
    Entry entry{file, {}};
    const char* open = at + std::strspn(at, " \t\n");
    if (*open == '(') {
      const std::string list(open + 1, std::strcspn(open + 1, ")"));
      for (size_t begin = list.find(".param"); begin != std::string::npos;) {
        const size_t end = list.find(".param", begin + 1);
        entry.parameters.push_back(parameter_bytes(list.substr(begin, end - begin)));
        begin = end;
      }
    }
    found.emplace(name, std::move(entry));
  }
  return found;
}

const std::map<std::string, Entry>& entries() {
  static const auto* all = [] {
    auto* result = new std::map<std::string, Entry>;
    const Images embedded = images();
    for (size_t i = 0; i < embedded.count; ++i) {
      const Image& image = embedded.first[i];
      if (!image.machine_code)
        result->merge(entries_of(image.file, reinterpret_cast<const char*>(image.data)));
    }
    return result;
  }();
  return *all;
}

}  // namespace tr0n::cuda
