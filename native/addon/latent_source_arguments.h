#pragma once
#include <memory>
#include <vector>

#include "addon/prior_arguments.h"
#include "addon/row_map_object.h"
#include "core/prior/latent_source.h"

namespace tr0n::addon {

/// A NativeLatentSource with what it points to.
class SourceInput {
 public:
  SourceInput(const Napi::Value& value, const std::string& name, InputReader& reader);

  /// Makes the maps ready; once before anything is drawn. Throws ERR_SHAPE_MISMATCH for one of another size.
  void prepare(CancelToken& cancel) const;
  const LatentSource& get() const { return source_; }

 private:
  struct Map {
    std::shared_ptr<CountedRowMap> counted;
    size_t size;
  };
  std::vector<LatentGroup> read_groups(const Fields& fields, InputReader& reader);

  std::vector<Map> maps_;
  std::vector<ArrayInput<float>> tables_;
  LatentSource source_;
};

}  // namespace tr0n::addon
