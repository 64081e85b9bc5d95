/// What the self-test runs: what is embedded in this build, but with PTX of its own for files that a folder
/// named by TR0N_PTX_OVERRIDE has some of (FILE.compute_80.ptx). Nothing else of tr0n looks at that variable.
/// CMakeLists.txt renames the generated images() to embedded_images() here.
#include "cuda/images.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

namespace tr0n::cuda {

Images embedded_images();

namespace {

struct Overridden {
  std::vector<std::string> texts;
  std::vector<Image> images;
};

const Overridden* overridden() {
  const char* folder = std::getenv("TR0N_PTX_OVERRIDE");
  if (folder == nullptr || *folder == '\0') return nullptr;
  auto* result = new Overridden;
  const Images embedded = embedded_images();
  result->texts.reserve(embedded.count);  // images point into them
  std::set<std::string> replaced;
  for (size_t i = 0; i < embedded.count; ++i) {
    const Image& image = embedded.first[i];
    if (image.machine_code) continue;
    std::ifstream file(std::string(folder) + "/" + image.file + ".compute_" +
                       std::to_string(image.architecture) + ".ptx");
    if (!file) continue;
    result->texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    const std::string& text = result->texts.back();
    result->images.push_back({image.file, image.architecture, false,
                              reinterpret_cast<const unsigned char*>(text.c_str()), text.size()});
    replaced.insert(image.file);
  }
  // Every other image of a replaced file goes: machine code would win over the PTX.
  for (size_t i = 0; i < embedded.count; ++i)
    if (replaced.count(embedded.first[i].file) == 0) result->images.push_back(embedded.first[i]);
  return result;
}

}  // namespace

Images images() {
  static const Overridden* const other = overridden();
  const Images embedded = embedded_images();
  return other == nullptr ? embedded : Images{other->images.data(), other->images.size(), embedded.origin};
}

}  // namespace tr0n::cuda
