#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/row_blocks.h"

namespace tr0n {

/// The block rules that this process knows, by all that they depend on: models, runtime, processor and how
/// rules are found. Who writes the keys (lib/model/block-rules.ts) also keeps the rules between processes.
class RuleBook {
 public:
  using Entry = std::pair<std::string, BlockRule>;

  static RuleBook& instance();

  std::optional<BlockRule> find(const std::string& key) const;
  /// A rule that was found here.
  void add(const std::string& key, const BlockRule& rule);
  /// Rules from elsewhere; what is found here stands.
  void learn(const std::vector<Entry>& entries);
  /// The rules whose keys begin so.
  std::vector<Entry> with_prefix(const std::string& prefix) const;
  /// For tests.
  void clear();

 private:
  mutable std::mutex mutex_;
  std::map<std::string, BlockRule> rules_;
};

}  // namespace tr0n
