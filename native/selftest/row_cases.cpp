/// Rows that are copied, added in groups, scaled and searched.
#include <limits>

#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

struct Sizes {
  size_t n, width;
};

std::vector<Sizes> sizes(bool quick) {
  std::vector<Sizes> all = {{1, 1}, {31, 33}, {33, 128}, {3, 600}, {401, 2}, {5, 2300}};
  if (!quick) all.insert(all.end(), {{1024, 128}, {70'001, 5}, {257, 12'288}});
  return all;
}

std::string name_of(const Sizes& s) {
  return "n " + std::to_string(s.n) + ", width " + std::to_string(s.width);
}

/// `from` and `to` are wider than what is copied, which begins `offset` numbers into their rows.
std::vector<float> copied(Device& device, const Sizes& s, size_t extra, size_t offset,
                          const std::vector<float>& values, const std::vector<uint32_t>& rows, size_t first,
                          size_t repeats) {
  const size_t stride = s.width + extra;
  const Array<float> from(device, values);
  Array<float> to(device, std::vector<float>(s.n * stride, -1.0f));
  const Array<uint32_t> index(device, rows);
  device.kernels().rows->copy({s.n, s.width, from.data() + offset, stride,
                               rows.empty() ? nullptr : index.data(), first, repeats, to.data() + offset,
                               stride});
  return to.values();
}

}  // namespace

SELFTEST(copy_rows) {
  for (const Sizes& s : sizes(test.quick))
    for (const auto& [extra, offset] :
         {std::make_pair(0, 0), std::make_pair(4, 4), std::make_pair(3, 0), std::make_pair(3, 2)})
      for (const bool indexed : {false, true}) {
        const size_t stride = s.width + static_cast<size_t>(extra), first = 5, repeats = 3;
        const size_t count = (first + s.n) / repeats + 1, begin = static_cast<size_t>(offset);
        const std::vector<float> values = normals(count * stride, 1);
        std::vector<uint32_t> rows;
        if (indexed) rows = integers(s.n, 2, static_cast<uint32_t>(count));
        std::vector<double> exact(s.n * stride, -1);
        for (size_t i = 0; i < s.n; ++i)
          for (size_t j = begin; j < begin + s.width; ++j)
            exact[i * stride + j] =
                static_cast<double>(values[(indexed ? rows[i] : (first + i) / repeats) * stride + j]);
        const auto on = [&](Device& device) {
          return copied(device, s, static_cast<size_t>(extra), begin, values, rows, first, repeats);
        };
        const std::vector<float> got = on(test.device);
        test.row(name_of(s) + ", " + std::to_string(extra) + " more" + (indexed ? ", by index" : ""))
            .each_close("to", got, exact, 0)
            .same("to", got, on(test.cpu));
      }
}

namespace {

template <class Sum>
std::vector<Sum> added(Device& device, const Sizes& s, size_t first, size_t repeats,
                       const std::vector<float>& values, const std::vector<Sum>& before) {
  const Array<float> from(device, values);
  Array<Sum> sums(device, before);
  AddGroups call{s.n, s.width, first, repeats, from.data()};
  if constexpr (std::is_same_v<Sum, double>)
    call.wide_sums = sums.data();
  else
    call.sums = sums.data();
  device.kernels().rows->add_groups(call);
  return sums.values();
}

template <class Sum>
void add_groups(Test& test, double tolerance) {
  for (const Sizes& s : sizes(test.quick))
    for (const auto& [first, repeats] :
         {std::make_pair(size_t{0}, size_t{1}), std::make_pair(size_t{5}, size_t{4}),
          std::make_pair(size_t{1}, size_t{64})}) {
      const std::vector<float> values = normals(s.n * s.width, 1);
      const size_t before = first / repeats, groups = (first + s.n - 1) / repeats - before + 1;
      const std::vector<float> drawn = normals(groups * s.width, 2);
      const std::vector<Sum> start(drawn.begin(), drawn.end());
      std::vector<long double> exact(start.begin(), start.end());
      for (size_t i = 0; i < s.n; ++i)
        for (size_t j = 0; j < s.width; ++j)
          exact[((first + i) / repeats - before) * s.width + j] +=
              static_cast<long double>(values[i * s.width + j]);
      const std::vector<Sum> got = added(test.device, s, first, repeats, values, start);
      test.row(name_of(s) + ", groups of " + std::to_string(repeats))
          .each_close("sums", got, std::vector<double>(exact.begin(), exact.end()), tolerance)
          .same("sums", got, added(test.cpu, s, first, repeats, values, start));
    }
}

}  // namespace

SELFTEST(add_groups) { add_groups<float>(test, 1e-5); }
SELFTEST(add_groups_wide) { add_groups<double>(test, 1e-14); }

SELFTEST(scale_rows) {
  for (const size_t count : {size_t{1}, size_t{257}, size_t{4099}}) {
    const std::vector<float> values = normals(count, 1);
    const std::vector<double> wide = widened(normals(count, 2));
    const auto on = [&](Device& device) {
      const Array<double> from(device, wide);
      Array<float> in_place(device, values), to(device, count);
      device.kernels().rows->scale({count, 1.0 / 3, in_place.data(), nullptr, in_place.data()});
      device.kernels().rows->scale({count, 1.0 / 3, nullptr, from.data(), to.data()});
      return std::make_pair(in_place.values(), to.values());
    };
    std::vector<double> exact = widened(values), exact_wide = wide;
    for (double& x : exact) x /= 3;
    for (double& x : exact_wide) x /= 3;
    const auto got = on(test.device), cpu = on(test.cpu);
    test.row("count " + std::to_string(count))
        .each_close("floats", got.first, exact, 1e-6)
        .each_close("doubles", got.second, exact_wide, 1e-7)
        .same("floats", got.first, cpu.first)
        .same("doubles", got.second, cpu.second);
  }
}

SELFTEST(find_not_finite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr uint32_t none = 0xFFFFFFFF;
  for (const Sizes& s : sizes(test.quick)) {
    const auto first_of = [&](Device& device, const std::vector<float>& values, uint32_t known) {
      const Array<float> all(device, values);
      Array<uint32_t> first(device, std::vector<uint32_t>{known});
      device.kernels().rows->not_finite({s.n, s.width, all.data(), first.data()});
      return first.values()[0];
    };
    std::vector<float> values = normals(s.n * s.width, 1, 1e37f);
    bool right = first_of(test.device, values, none) == none && first_of(test.device, values, 7) == 7;
    // One after the other, each before the last: the first number of a row, its last, and one between.
    for (const auto& [row, column, bad] :
         {std::make_tuple(s.n - 1, s.width - 1, infinity), std::make_tuple(s.n / 2, s.width / 2, -infinity),
          std::make_tuple(s.n / 3, size_t{0}, std::nanf(""))}) {
      values[row * s.width + column] = bad;
      for (Device* device : {&test.device, &test.cpu})
        right &= first_of(*device, values, none) == row && first_of(*device, values, 0) == 0;
    }
    test.row(name_of(s)).that("the first row", right);
  }
}

}  // namespace tr0n::selftest
