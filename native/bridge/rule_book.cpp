#include "bridge/rule_book.h"

namespace tr0n {

RuleBook& RuleBook::instance() {
  static RuleBook book;
  return book;
}

std::optional<BlockRule> RuleBook::find(const std::string& key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = rules_.find(key);
  if (found == rules_.end()) return std::nullopt;
  return found->second;
}

void RuleBook::add(const std::string& key, const BlockRule& rule) {
  const std::lock_guard<std::mutex> lock(mutex_);
  rules_.insert_or_assign(key, rule);
}

void RuleBook::learn(const std::vector<Entry>& entries) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Entry& entry : entries) rules_.insert(entry);
}

std::vector<RuleBook::Entry> RuleBook::with_prefix(const std::string& prefix) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Entry> found;
  for (auto at = rules_.lower_bound(prefix); at != rules_.end(); ++at) {
    if (at->first.compare(0, prefix.size(), prefix) != 0) break;
    found.push_back(*at);
  }
  return found;
}

void RuleBook::clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  rules_.clear();
}

}  // namespace tr0n
