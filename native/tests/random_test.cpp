#include <array>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "core/prior/prior_elements.h"
#include "tests/check.h"

using namespace tr0n;

TEST(philox_known_answers) {  // Random123's kat_vectors, philox4x32 10
  const auto check = [](std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key,
                        std::array<uint32_t, 4> out) { CHECK(Philox::block(counter, key) == out); };
  check({0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(philox_counter_layout) {
  const Philox rng(0x0123456789abcdefull);
  const auto words = rng.bits({7, 11}, 5, Purpose::proposal, 3);
  CHECK((words == Philox::block({3, 5u | 12u << 24, 11, 7}, {0x89abcdef, 0x01234567})));
  float five[5], four[4];
  rng.normal({7, 11}, 5, Purpose::proposal, five, 5);
  rng.normal({7, 11}, 5, Purpose::proposal, four, 4);
  for (int i = 0; i < 4; ++i) CHECK(five[i] == four[i]);
}

TEST(uniform_and_normal_moments) {
  const Philox rng(3);
  std::vector<float> x(1'000'000);
  rng.uniform({1, 2}, 0, Purpose::pair, x.data(), x.size());
  double mean = 0, square = 0;
  for (const float u : x) {
    CHECK(u > 0.0f && u < 1.0f);
    mean += static_cast<double>(u);
    square += static_cast<double>(u) * static_cast<double>(u);
  }
  const double n = static_cast<double>(x.size());
  CHECK_NEAR(mean / n, 0.5, 2e-3);
  CHECK_NEAR(square / n, 1.0 / 3, 2e-3);
  rng.normal({1, 3}, 0, Purpose::pair, x.data(), x.size());
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = static_cast<double>(x[i]);
    m1 += v;
    m2 += v * v;
    m3 += v * v * v;
    m4 += v * v * v * v;
    if (i > 0) lag += v * static_cast<double>(x[i - 1]);
  }
  CHECK_NEAR(m1 / n, 0, 5e-3);
  CHECK_NEAR(m2 / n, 1, 7e-3);
  CHECK_NEAR(m3 / n, 0, 2e-2);
  CHECK_NEAR(m4 / n, 3, 5e-2);
  CHECK_NEAR(lag / n, 0, 5e-3);
}

namespace {

Prior make(Prior::Kind kind, size_t dim, float std, float bound, float low, float high) {
  Prior prior;
  prior.kind = kind;
  prior.dim = dim;
  prior.std = std;
  prior.bound = bound;
  prior.low = low;
  prior.high = high;
  return prior;
}

/// Mass, second moment and entropy of a one-dimensional prior by the trapezoid rule against draws and
/// formulas.
void check_prior(const Prior& prior, double from, double to) {
  const size_t cells = 200'000;
  double mass = 0, second = 0, entropy = 0;
  const double width = (to - from) / cells;
  for (size_t i = 0; i < cells; ++i) {
    const float z = static_cast<float>(from + (static_cast<double>(i) + 0.5) * width);
    const double log_p = prior.log_density(&z), p = std::exp(log_p);
    mass += p * width;
    second += p * static_cast<double>(z) * static_cast<double>(z) * width;
    if (p > 0) entropy -= p * log_p * width;
  }
  CHECK_NEAR(mass, 1, 1e-3);
  CHECK_NEAR(prior.entropy(), entropy, 2e-3);
  const Philox rng(5);
  double drawn = 0;
  const size_t draws = 200'000;
  for (uint32_t i = 0; i < draws; ++i) {
    float z;
    prior.draw(rng, {0, i}, 0, Purpose::prior, &z);
    CHECK(prior.contains(&z));
    drawn += static_cast<double>(z) * static_cast<double>(z);
  }
  CHECK_NEAR(drawn / draws, second, 0.015 * second);
}

}  // namespace

TEST(priors) {
  check_prior(make(Prior::Kind::normal, 1, 1.7f, 0, 0, 0), -15, 15);
  check_prior(make(Prior::Kind::truncated_normal, 1, 1, 2, 0, 0), -2, 2);
  check_prior(make(Prior::Kind::truncated_normal, 1, 5, 0.5f, 0, 0), -0.5, 0.5);
  check_prior(make(Prior::Kind::uniform, 1, 1, 0, -1, 3), -1, 3);

  const Prior truncated = make(Prior::Kind::truncated_normal, 3, 1, 2, 0, 0);
  const float outside[3] = {0, 2.5f, 0}, broken[3] = {0, std::nanf(""), 0}, inside[3] = {1, -2, 0.5f};
  CHECK(truncated.log_density(outside) == -std::numeric_limits<double>::infinity());
  CHECK(truncated.energy(broken) == std::numeric_limits<double>::infinity());
  CHECK_NEAR(truncated.energy(inside), 0.5 * 5.25, 1e-12);
  float gradient[3] = {1, 1, 1};
  truncated.add_energy_gradient(inside, 2, gradient);
  CHECK_NEAR(static_cast<double>(gradient[1]), -3, 1e-6);
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(Prior::Kind::uniform, 1, 1, 0, 2, 2).check());
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(Prior::Kind::normal, 0, 1, 0, 0, 0).check());
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(Prior::Kind::normal, 1, std::nanf(""), 0, 0, 0).check());
}

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

PriorValues elements(const std::vector<PriorElement>& list) {
  Prior prior;
  prior.kind = Prior::Kind::elements;
  prior.dim = list.size();
  return PriorValues(prior, list);
}

}  // namespace

TEST(prior_of_elements) {
  const PriorElement normal{2, 1.7f, -kInf, kInf}, wide{-1, 1, -3, 1}, narrow{0.5f, 5, 0, 1},
      flat{0, kInf, -1, 3};
  check_prior(elements({normal}).view(), -15, 20);
  check_prior(elements({wide}).view(), -3, 1);
  check_prior(elements({narrow}).view(), 0, 1);
  check_prior(elements({flat}).view(), -1, 3);

  // All of them side by side: densities add up, and no two draw from the same random numbers.
  const PriorValues mixed = elements({normal, wide, narrow, flat, normal, wide, flat});
  const Prior prior = mixed.view();
  prior.check();
  const float z[7] = {1, -2, 0.25f, 2.5f, 3, 0, 0}, outside[7] = {1, -2, 1.5f, 2.5f, 3, 0, 0};
  double sum = 0, entropy = 0;
  const PriorElement* e = prior.elements;
  for (size_t j = 0; j < 7; ++j) {
    const PriorValues one = elements({e[j]});
    sum += one.view().log_density(z + j);
    entropy += one.view().entropy();
  }
  CHECK_NEAR(prior.log_density(z), sum, 1e-12);
  CHECK_NEAR(prior.entropy(), entropy, 1e-12);
  CHECK(prior.log_density(outside) == -std::numeric_limits<double>::infinity());
  CHECK(prior.energy(outside) == std::numeric_limits<double>::infinity());
  float gradient[7] = {};
  prior.add_energy_gradient(z, 2, gradient);
  for (size_t j = 0; j < 7; ++j)
    CHECK_NEAR(static_cast<double>(gradient[j]),
               2.0 * (static_cast<double>(z[j]) - static_cast<double>(e[j].mean)) /
                   (static_cast<double>(e[j].std) * static_cast<double>(e[j].std)),
               1e-6);

  const Philox rng(11);
  constexpr uint32_t draws = 40'000;
  double first[7] = {}, second[7][7] = {};
  for (uint32_t i = 0; i < draws; ++i) {
    float x[7];
    prior.draw(rng, {1, i}, 2, Purpose::prior, x);
    CHECK(prior.contains(x));
    for (size_t j = 0; j < 7; ++j) first[j] += static_cast<double>(x[j]) / draws;
    for (size_t j = 0; j < 7; ++j)
      for (size_t k = 0; k < 7; ++k)
        second[j][k] += static_cast<double>(x[j]) * static_cast<double>(x[k]) / draws;
  }
  const double centres[7] = {2, -1, 0.5, 1, 2, -1, 1};
  for (size_t j = 0; j < 7; ++j) {
    const auto variance = [&](size_t k) { return second[k][k] - first[k] * first[k]; };
    CHECK_NEAR(first[j], centres[j], 0.04);
    for (size_t k = 0; k < j; ++k)
      CHECK_NEAR((second[j][k] - first[j] * first[k]) / std::sqrt(variance(j) * variance(k)), 0, 0.025);
  }

  CHECK_CODE("ERR_INVALID_ARGUMENT", elements({{0, kInf, -kInf, kInf}}).view().check());  // no density
  CHECK_CODE("ERR_INVALID_ARGUMENT", elements({{0, 1, -1, 2}}).view().check());  // not about its mean
  CHECK_CODE("ERR_INVALID_ARGUMENT", elements({{0, 0, -1, 1}}).view().check());
}
