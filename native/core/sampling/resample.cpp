/// Importance resampling over candidates: method.md "Recommended sampler", 1 and 2.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/sampling/run.h"

namespace tr0n {

size_t candidate_numbers(const SamplerConfig& config) {
  // So many even where fewer are asked for: a chain may need them to have a start at all.
  constexpr size_t least = 256;
  return std::max({config.candidates, config.max_candidates, least});
}

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double effective_size(const ResampleState& state) {
  return state.sum > 0 ? state.sum * state.sum / state.square_sum : 0;
}

/// Chains that look at candidates. Each sees its candidates in their order, in however many calls: what it
/// has seen stays when more are asked for. Their states and winners lie in the device's memory; the host says
/// which chains look at which candidates, 16 bytes a candidate, and reads states where it decides by them.
class Candidates {
 public:
  /// For at most `capacity` members.
  Candidates(SamplerRun& run, size_t rows_per_call, size_t capacity)
      : run_(run),
        rows_per_call_(rows_per_call),
        chains_(run.device, capacity),
        states_(run.device, capacity),
        best_(run.device, capacity * run.d),
        looking_(run.device, rows_per_call_),
        row_chains_(run.device, rows_per_call_),
        row_conditions_(run.device, rows_per_call_),
        row_steps_(run.device, rows_per_call_),
        z_(run.device, rows_per_call_ * run.d),
        energies_(run.device, rows_per_call_),
        log_weights_(run.device, rows_per_call_) {}

  size_t add(Chain chain, uint32_t condition) {
    const size_t member = conditions_.size();
    conditions_.push_back(condition);
    chains_.host()[member] = chain;
    states_.host()[member] = {-kInfinity, kInfinity, -kInfinity, 0, 0};
    return member;
  }
  /// After the last add().
  void ready() {
    chains_.push(conditions_.size());
    states_.push(conditions_.size());
  }

  /// Members look at candidates from … to − 1.
  void advance(const std::vector<size_t>& members, size_t from, size_t to) {
    if (from >= to) return;
    const size_t range = std::min(to - from, rows_per_call_), group = rows_per_call_ / range;
    for (size_t begin = 0; begin < members.size(); begin += group)
      for (size_t first = from; first < to; first += range)
        look(members.data() + begin, std::min(group, members.size() - begin), first,
             std::min(range, to - first));
  }

  /// Members, whose numbers are their chains', look at where they are: candidate `number`.
  void look_here(const std::vector<size_t>& members, size_t number) {
    for (size_t begin = 0; begin < members.size(); begin += rows_per_call_)
      look(members.data() + begin, std::min(rows_per_call_, members.size() - begin), number, 1, false);
  }

  /// Brings the states to the host: of all members, or of one.
  void read_states() { states_.pull(conditions_.size()); }
  void read_state(size_t member) { states_.pull(1, member); }
  /// As it was read.
  const ResampleState& state(size_t member) const { return states_.host()[member]; }
  const float* best() const { return best_.data(); }  ///< [members, d] in the device's memory

 private:
  /// `count` members look at `range` candidates from number `first`: fresh ones, or where their chains are.
  void look(const size_t* members, size_t count, size_t first, size_t range, bool drawn = true) {
    const size_t rows = count * range, d = run_.d;
    for (size_t i = 0; i < count; ++i) {
      const size_t member = members[i];
      looking_.host()[i] = static_cast<uint32_t>(member);
      for (size_t j = 0; j < range; ++j) {
        row_chains_.host()[i * range + j] = chains_.host()[member];
        row_conditions_.host()[i * range + j] = conditions_[member];
        row_steps_.host()[i * range + j] = static_cast<uint32_t>(first + j);
      }
    }
    looking_.push(count);
    row_chains_.push(rows);
    row_conditions_.push(rows);
    row_steps_.push(rows);

    if (!drawn) {
      run_.kernels.rows->copy({rows, d, run_.z.device(), d, looking_.device(), 0, 1, z_.data(), d});
      run_.kernels.rows->copy(
          {rows, 1, run_.energies.device(), 1, looking_.device(), 0, 1, energies_.data(), 1});
    } else {
      run_.kernels.resample->candidates(
          {run_.mixture().view(), run_.device_prior.view(), run_.config.prior_fraction,
           row_conditions_.device(), row_chains_.device(), row_steps_.device(), rows, run_.rng, z_.data()});
      run_.energy({z_.data(), row_conditions_.device(), row_conditions_.host(), row_chains_.host(), rows},
                  energies_.data());
    }
    weigh(count, first, range);
  }

  /// Takes candidates z_ with energies_ into the states.
  void weigh(size_t count, size_t first, size_t range) {
    const size_t rows = count * range, d = run_.d;
    const SamplerConfig& config = run_.config;
    run_.kernels.resample->weights({run_.mixture().view(), run_.device_prior.view(), config.prior_fraction,
                                    config.fidelity, config.prior_weight, row_conditions_.device(), rows,
                                    z_.data(), energies_.data(), log_weights_.data()});
    run_.kernels.resample->choose({count, range, d, looking_.device(), chains_.device(),
                                   static_cast<uint32_t>(first), run_.rng, z_.data(), energies_.data(),
                                   log_weights_.data(), states_.device(), best_.data()});
  }

  SamplerRun& run_;
  const size_t rows_per_call_;
  std::vector<uint32_t> conditions_;  ///< [members]
  Mirror<Chain> chains_;
  Mirror<ResampleState> states_;
  Buffer<float> best_;
  Mirror<uint32_t> looking_;  ///< members of one call
  Mirror<Chain> row_chains_;
  Mirror<uint32_t> row_conditions_, row_steps_;
  Buffer<float> z_, energies_;
  Buffer<double> log_weights_;
};

/// Decides M per condition from its pilot chains: samples 0 … pilot_chains − 1 of its stream, whether they
/// were asked for or not, so that no split of a request can change the decision. Returns how far each
/// condition's pilots looked.
class Pilots {
 public:
  Pilots(SamplerRun& run, Candidates& candidates) : run_(run), candidates_(candidates) {
    const SampleRequest& request = run.request;
    for (size_t b = 0; b < request.condition_count; ++b) {
      std::vector<size_t> pilots;
      for (uint32_t index = 0; index < run.config.pilot_chains; ++index) {
        const bool asked_for = index >= request.first && index - request.first < request.count;
        pilots.push_back(asked_for ? b * request.count + (index - request.first)
                                   : candidates.add({request.streams[b], index}, static_cast<uint32_t>(b)));
      }
      pilots_.push_back(std::move(pilots));
    }
    candidates.ready();
  }

  const std::vector<size_t>& of(size_t condition) const { return pilots_[condition]; }

  void decide(std::vector<uint32_t>& sizes) {
    const size_t largest = std::max(run_.config.candidates, run_.config.max_candidates);
    std::vector<size_t> open(sizes.size());
    for (size_t b = 0; b < open.size(); ++b) open[b] = b;
    for (size_t from = 0, to = run_.config.candidates; !open.empty();) {
      std::vector<size_t> members;
      for (const size_t b : open) members.insert(members.end(), pilots_[b].begin(), pilots_[b].end());
      candidates_.advance(members, from, to);
      candidates_.read_states();
      for (const size_t b : open) sizes[b] = static_cast<uint32_t>(to);
      if (to >= largest) return;
      const auto enough = [&](size_t b) { return mean_effective_size(pilots_[b]) >= run_.config.min_ess; };
      open.erase(std::remove_if(open.begin(), open.end(), enough), open.end());
      from = to;
      to = std::min(2 * to, largest);
    }
  }

 private:
  double mean_effective_size(const std::vector<size_t>& members) const {
    double sum = 0;
    for (const size_t member : members) sum += effective_size(candidates_.state(member));
    return sum / static_cast<double>(members.size());
  }

  SamplerRun& run_;
  Candidates& candidates_;
  std::vector<std::vector<size_t>> pilots_;
};

/// Candidates for all chains of a run, which are the first members.
Candidates all_chains(SamplerRun& run) {
  const SamplerConfig& config = run.config;
  const double all_rows = static_cast<double>(run.n + run.request.condition_count * config.pilot_chains) *
                          static_cast<double>(std::max(config.candidates, config.max_candidates));
  const size_t rows =
      all_rows < static_cast<double>(run.rows_per_call) ? static_cast<size_t>(all_rows) : run.rows_per_call;
  Candidates candidates(run, rows, run.n + run.request.condition_count * config.pilot_chains);
  for (size_t i = 0; i < run.n; ++i) candidates.add(run.chains.host()[i], run.conditions.host()[i]);
  candidates.ready();
  return candidates;
}

/// Chains that are not `ready` look at their condition's number of candidates, from number `first` on.
void look_at_all(SamplerRun& run, Candidates& candidates, const std::vector<bool>& ready, size_t first) {
  const std::vector<uint32_t>& sizes = run.result.candidates;
  std::vector<uint32_t> distinct(sizes);
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (const uint32_t size : distinct) {
    std::vector<size_t> members;
    for (size_t i = 0; i < run.n; ++i)
      if (!ready[i] && sizes[i / run.request.count] == size) members.push_back(i);
    candidates.advance(members, first, first + size);
  }
}

/// Chains none of whose candidates can be taken look at further ones until one can. Of a bounded prior in
/// many dimensions that is likely: every draw of q has some element beyond the bounds, and of 16 candidates
/// none is the prior's once in six chains. A matter of the chain alone, so that no split of a request changes
/// it.
void look_further(SamplerRun& run, Candidates& candidates) {
  const size_t most = candidate_numbers(run.config);
  candidates.read_states();
  for (size_t i = 0; i < run.n; ++i) {
    const size_t size = run.result.candidates[i / run.request.count];
    for (size_t from = size; candidates.state(i).best_score == -kInfinity && from < most; from += size) {
      candidates.advance({i}, from, std::min(from + size, most));
      candidates.read_state(i);
    }
  }
}

/// Chains go to the winner among their candidates, by the states as they were read.
void take_best(SamplerRun& run, const Candidates& candidates) {
  for (size_t i = 0; i < run.n; ++i) {
    const ResampleState& state = candidates.state(i);
    if (state.best_score == -kInfinity)
      run.diverged("none of " + std::to_string(candidate_numbers(run.config)) +
                       " candidates has a finite energy inside the prior's support",
                   i, 0);
    run.energies.host()[i] = static_cast<float>(state.best_energy);
  }
  run.kernels.rows->copy({run.n, run.d, candidates.best(), run.d, nullptr, 0, 1, run.z.device(), run.d});
  run.energies.push();
}

}  // namespace

bool start_resampled(SamplerRun& run) {
  const SamplerConfig& config = run.config;
  const size_t count = run.request.count, conditions = run.request.condition_count;
  Candidates candidates = all_chains(run);
  std::vector<uint32_t>& sizes = run.result.candidates;
  sizes.assign(conditions, static_cast<uint32_t>(config.candidates));
  std::vector<bool> ready(run.n, false);
  if (config.min_ess > 0 && config.pilot_chains > 0 && config.candidates < config.max_candidates) {
    Pilots pilots(run, candidates);
    pilots.decide(sizes);
    for (size_t b = 0; b < conditions; ++b)
      for (const size_t member : pilots.of(b))
        if (member < run.n) ready[member] = true;
  }
  look_at_all(run, candidates, ready, 0);
  look_further(run, candidates);
  take_best(run, candidates);
  for (size_t b = 0; b < conditions; ++b) {
    double sum = 0;
    for (size_t i = b * count; i < (b + 1) * count; ++i) sum += effective_size(candidates.state(i));
    run.result.ess[b] = static_cast<float>(sum / static_cast<double>(count));
  }
  return true;
}

// Iterated sampling importance resampling (Andrieu, Lee, Vihola 2018): one of the present state and M fresh
// candidates by their weights leaves the target as it is.
void resample_again(SamplerRun& run, size_t round) {
  Candidates candidates = all_chains(run);
  std::vector<size_t> everyone(run.n);
  for (size_t i = 0; i < run.n; ++i) everyone[i] = i;
  const size_t first = round * (candidate_numbers(run.config) + 1);
  candidates.look_here(everyone, first);
  look_at_all(run, candidates, std::vector<bool>(run.n, false), first + 1);
  candidates.read_states();
  take_best(run, candidates);
}

}  // namespace tr0n
