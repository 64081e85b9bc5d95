#include <algorithm>
#include <map>

#include "emulator/exec/decoder.h"

namespace tr0n::emulator {
namespace {

/// Basic blocks of a function; the last one is the end, which every return leads to.
class Graph {
 public:
  explicit Graph(const Function& function) : function_(function) {
    find_leaders();
    connect();
    post_dominators();
  }
  /// The instruction where lanes that part at `at` meet again; kNoReconvergence where only the end is common.
  uint32_t meeting_point(size_t at) const {
    const size_t block = immediate_[block_of_[at]];
    return block == end_ || block == kNone ? kNoReconvergence : static_cast<uint32_t>(leaders_[block]);
  }

 private:
  static constexpr size_t kNone = ~size_t{0};

  std::vector<uint32_t> targets(const Inst& inst) const {
    if (is_branch(inst)) return {inst.target};
    if (is_table_branch(inst))
      return {function_.pool.begin() + inst.list, function_.pool.begin() + inst.list + inst.aux};
    return {};
  }

  void find_leaders() {
    const auto& code = function_.code;
    std::vector<bool> leads(code.size() + 1, false);
    leads[0] = true;
    for (size_t i = 0; i < code.size(); ++i) {
      for (const uint32_t target : targets(code[i])) leads[target] = true;
      if (is_branch(code[i]) || is_table_branch(code[i]) || ends_path(code[i])) leads[i + 1] = true;
    }
    block_of_.resize(code.size());
    for (size_t i = 0; i < code.size(); ++i) {
      if (leads[i]) leaders_.push_back(i);
      block_of_[i] = leaders_.size() - 1;
    }
    end_ = leaders_.size();
  }

  void connect() {
    const auto& code = function_.code;
    successors_.resize(end_ + 1);
    for (size_t b = 0; b < end_; ++b) {
      const size_t last = (b + 1 < end_ ? leaders_[b + 1] : code.size()) - 1;
      const Inst& inst = code[last];
      const bool always = inst.guard == 0 && inst.flip == 0;
      for (const uint32_t target : targets(inst))
        successors_[b].push_back(target < code.size() ? block_of_[target] : end_);
      if (ends_path(inst)) successors_[b].push_back(end_);
      const bool jumps = is_branch(inst) || is_table_branch(inst) || ends_path(inst);
      if (!(jumps && always)) successors_[b].push_back(last + 1 < code.size() ? b + 1 : end_);
    }
  }

  /// Cooper, Harvey and Kennedy's iteration on the reversed graph.
  void post_dominators() {
    std::vector<std::vector<size_t>> predecessors(end_ + 1);
    for (size_t b = 0; b <= end_; ++b) {
      for (const size_t s : successors_[b]) predecessors[s].push_back(b);
    }
    // Post-order of the reversed graph, from the end; blocks that never reach it (endless loops) keep kNone.
    std::vector<size_t> order, number(end_ + 1, kNone);
    std::vector<std::pair<size_t, size_t>> stack{{end_, 0}};
    std::vector<bool> seen(end_ + 1, false);
    seen[end_] = true;
    while (!stack.empty()) {
      auto& [block, next] = stack.back();
      if (next < predecessors[block].size()) {
        const size_t p = predecessors[block][next++];
        if (!seen[p]) {
          seen[p] = true;
          stack.push_back({p, 0});
        }
      } else {
        number[block] = order.size();
        order.push_back(block);
        stack.pop_back();
      }
    }
    immediate_.assign(end_ + 1, kNone);
    immediate_[end_] = end_;
    const auto common = [&](size_t a, size_t b) {
      while (a != b) {
        while (number[a] < number[b]) a = immediate_[a];
        while (number[b] < number[a]) b = immediate_[b];
      }
      return a;
    };
    for (bool changed = true; changed;) {
      changed = false;
      for (auto block = order.rbegin(); block != order.rend(); ++block) {
        if (*block == end_) continue;
        size_t best = kNone;
        for (const size_t s : successors_[*block]) {
          if (number[s] == kNone || immediate_[s] == kNone) continue;
          best = best == kNone ? s : common(best, s);
        }
        if (best != immediate_[*block]) {
          immediate_[*block] = best;
          changed = true;
        }
      }
    }
  }

  const Function& function_;
  std::vector<size_t> leaders_, block_of_;
  std::vector<std::vector<size_t>> successors_;
  std::vector<size_t> immediate_;
  size_t end_ = 0;
};

}  // namespace

void insert_reconvergence(Function& function) {
  auto& code = function.code;
  const Graph graph(function);
  std::vector<bool> meets(code.size() + 1, false);
  for (size_t i = 0; i < code.size(); ++i) {
    if (!is_branch(code[i]) && !is_table_branch(code[i])) continue;
    code[i].rpc = graph.meeting_point(i);
    if (code[i].rpc != kNoReconvergence) meets[code[i].rpc] = true;
  }
  // Old places to new ones: that of the mark, where there is one.
  std::vector<uint32_t> moved(code.size() + 1);
  std::vector<Inst> marked;
  marked.reserve(code.size() + 16);
  for (size_t i = 0; i < code.size(); ++i) {
    moved[i] = static_cast<uint32_t>(marked.size());
    if (meets[i]) {
      Inst mark;
      mark.run = kReconverge;
      mark.line = code[i].line;
      mark.group = Class::count;  // no instruction of the program
      marked.push_back(mark);
    }
    marked.push_back(code[i]);
  }
  moved[code.size()] = static_cast<uint32_t>(marked.size());
  for (Inst& inst : marked) {
    if (is_branch(inst)) inst.target = moved[inst.target];
    if (is_table_branch(inst)) {
      for (uint32_t k = 0; k < inst.aux; ++k)
        function.pool[inst.list + k] = moved[function.pool[inst.list + k]];
    }
    if ((is_branch(inst) || is_table_branch(inst)) && inst.rpc != kNoReconvergence)
      inst.rpc = moved[inst.rpc];
  }
  code = std::move(marked);
}

}  // namespace tr0n::emulator
