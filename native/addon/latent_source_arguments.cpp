#include "addon/latent_source_arguments.h"

namespace tr0n::addon {

SourceInput::SourceInput(const Napi::Value& value, const std::string& name, InputReader& reader)
    : source_(read_prior(value, name), read_groups(Fields(value, name), reader)) {}

std::vector<LatentGroup> SourceInput::read_groups(const Fields& fields, InputReader& reader) {
  std::vector<LatentGroup> groups;
  if (!fields.has("groups")) return groups;
  const std::string name = fields.path("groups");
  const Napi::Value list = fields.get("groups");
  if (!list.IsArray()) throw_invalid(name, "a list", list);
  constexpr size_t most = size_t{1} << 26;
  size_t base = 0;
  for (uint32_t i = 0; i < list.As<Napi::Array>().Length(); ++i) {
    const Fields own(list.As<Napi::Array>().Get(i), name + "[" + std::to_string(i) + "]");
    LatentGroup group;
    group.base = own.size("base", 1, most);
    group.size = own.size("size", 0, most);
    base += group.base;
    if (own.has("table")) {
      group.table_rows = own.size("rows");
      if (group.base != 1) throw_invalid(own.path("base"), "1 for a table", own.get("base"));
      tables_.push_back(reader.read<float>(own.get("table"), own.path("table"),
                                           product({group.table_rows, group.size}, own.path("rows"))));
      group.table = tables_.back().data;
    } else if (own.has("map")) {
      maps_.push_back({RowMapObject::from(own.get("map"), own.path("map")), group.size});
      group.map = &maps_.back().counted->map;
      if (group.map->input_size() != group.base)
        throw Error("ERR_SHAPE_MISMATCH",
                    own.path("base") + ": expected " + std::to_string(group.map->input_size()) +
                        ", the elements of the map's input, got " + std::to_string(group.base));
    } else if (group.size != 0 && group.size != group.base) {
      throw_invalid(own.path("size"), "as many numbers as `base`, or 0", own.get("size"));
    }
    groups.push_back(group);
  }
  if (base != fields.size("dim", 1, most))
    throw Error("ERR_SHAPE_MISMATCH", name + ": expected groups of all the prior's numbers, got " +
                                          std::to_string(base) + " of them");
  return groups;
}

void SourceInput::prepare(CancelToken& cancel) const {
  for (const Map& map : maps_) {
    map.counted->map.prepare(cancel);
    if (map.counted->map.output_count() != 1 || map.counted->map.output_size(0) != map.size)
      throw Error("ERR_SHAPE_MISMATCH", "groups: expected a map with one output of " +
                                            std::to_string(map.size) + " elements, got " +
                                            std::to_string(map.counted->map.output_size(0)));
  }
}

}  // namespace tr0n::addon
