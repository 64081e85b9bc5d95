/// Clipping and Adam.
#include "selftest/adam.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

std::vector<float> moments(size_t n, uint32_t stream) { return uniforms(n, stream, 1e-6f, 1e-3f); }

struct State {
  std::vector<float> m, v, x;
  StepTotals totals;
};

State optimised(Device& device, const AdamStep& step, const std::vector<float>& gradients, const State& start,
                double loss) {
  const size_t count = gradients.size();
  const Array<float> g(device, gradients);
  Array<float> m(device, start.m), v(device, start.v), x(device, start.x);
  const Array<AdamStep> steps(device, std::vector<AdamStep>{step});
  const Array<double> losses(device, std::vector<double>{loss});
  Array<StepTotals> totals(device, std::vector<StepTotals>{start.totals});
  device.kernels().optimise->step(
      {steps.data(), count, g.data(), {x.data(), m.data(), v.data()}, losses.data(), totals.data()});
  return {m.values(), v.values(), x.values(), totals.values()[0]};
}

State start_of(size_t count) {
  State start{normals(count, 2, 1e-3f), moments(count, 3), normals(count, 4, 1e-2f), {}};
  start.totals.loss_sum = 10;
  start.totals.steps = 3;
  return start;
}

}  // namespace

SELFTEST(optimise) {
  std::vector<size_t> counts = {1, 31, 32, 33, 257, 4096, 70'001};
  if (!test.quick) counts.insert(counts.end(), {1'000'003, 13'000'000});
  struct Kind {
    const char* name;
    float size;
    double clip;
    uint64_t step;
  };
  // Gradients of 1e-25 and 1e25: their squares are no floats.
  const Kind kinds[] = {{"clipped", 1, 1, 0},     {"unclipped", 1e-3f, 0, 999}, {"within", 1e-6f, 1, 1},
                        {"small", 1e-25f, 1, 0},  {"large", 1e25f, 1, 5},       {"zero", 0, 1, 2},
                        {"late", 1, 1, 1'000'000}};
  for (const size_t count : counts)
    for (const Kind& kind : kinds) {
      std::vector<float> gradients = normals(count, 1, kind.size);
      for (size_t i = 0; i < count; ++i)
        if (i % 64 >= 40) gradients[i] = 0;  // as of units that a relu has switched off
      AdamStep step;
      step.learning_rate = 1e-2;
      step.step = kind.step;
      step.clip = kind.clip;
      const State start = start_of(count);
      const double norm = norm_of(widened(gradients));
      const double scale = kind.clip > 0 && norm > kind.clip ? kind.clip / (norm + 1e-6) : 1;
      Adam exact{widened(start.m), widened(start.v), widened(start.x)};
      exact.step(step, widened(gradients), scale);
      const State got = optimised(test.device, step, gradients, start, 0.5),
                  cpu = optimised(test.cpu, step, gradients, start, 0.5);
      test.row("count " + std::to_string(count) + ", " + kind.name)
          .close("m", got.m, exact.m, 1e-6)
          .close("v", got.v, exact.v, 1e-6)
          .close("x", got.x, exact.x, 1e-6)
          .agrees("m", got.m, cpu.m, 1e-6)
          .agrees("v", got.v, cpu.v, 1e-6)
          .agrees("x", got.x, cpu.x, 1e-6)
          .close("norm", std::vector<double>{got.totals.gradient_norm}, {norm}, 1e-6)
          .that("totals", got.totals.loss == 0.5 && got.totals.loss_sum == 10.5 && got.totals.steps == 4 &&
                              got.totals.stopped == 0);
    }
}

SELFTEST(optimise_stops) {
  const auto hold = [&](const char* name, float gradient, double loss, uint64_t stopped) {
    std::vector<float> gradients = normals(3000, 1);
    gradients[1234] = gradient;
    State start = start_of(gradients.size());
    start.totals.stopped = stopped;
    start.totals.loss = 7;
    AdamStep step;
    step.clip = 1;
    const State got = optimised(test.device, step, gradients, start, loss),
                cpu = optimised(test.cpu, step, gradients, start, loss);
    const auto bits = [](const StepTotals& t) {
      return std::vector<double>{t.loss_sum, t.loss, t.gradient_norm, static_cast<double>(t.steps),
                                 static_cast<double>(t.stopped)};
    };
    const auto shown = [](double value) { return std::isnan(value) ? 1 : std::isinf(value) ? 2 : 0; };
    test.row(name)
        .that("nothing changed", got.x == start.x && got.m == start.m && got.v == start.v)
        .that("stopped", got.totals.stopped == 1 && got.totals.steps == 3 && got.totals.loss_sum == 10)
        .that("as on the CPU",
              shown(got.totals.loss) == shown(cpu.totals.loss) &&
                  shown(got.totals.gradient_norm) == shown(cpu.totals.gradient_norm) &&
                  (shown(got.totals.loss) != 0 || bits(got.totals)[1] == bits(cpu.totals)[1]));
  };
  hold("infinite gradient", INFINITY, 0.5, 0);
  hold("NaN gradient", NAN, 0.5, 0);
  hold("NaN loss", 1, NAN, 0);
  hold("infinite loss", 1, -INFINITY, 0);
  hold("stopped before", 1, 0.5, 1);
  const State none = optimised(test.device, AdamStep{}, {}, start_of(0), 0.5);
  test.row("count 0").that("a step is counted", none.totals.steps == 4 && none.totals.gradient_norm == 0);
  // Several steps, one after the other, of grids of different sizes: the barrier is ready again each time.
  State got = start_of(20'000), cpu = got, small = start_of(5);
  for (uint64_t t = 0; t < 4; ++t) {
    AdamStep step;
    step.step = t;
    step.clip = 1;
    const std::vector<float> gradients = normals(20'000, static_cast<uint32_t>(10 + t));
    got = optimised(test.device, step, gradients, got, 1);
    small = optimised(test.device, step, std::vector<float>(5, 1.0f), small, 1);
    cpu = optimised(test.cpu, step, gradients, cpu, 1);
  }
  test.row("four steps")
      .agrees("x", got.x, cpu.x, 1e-6)
      .that("all counted", got.totals.steps == 7 && small.totals.steps == 7);
}

SELFTEST(optimise_recorded) {
  // Replayed on what the memory holds by then: gradients of the second step, and its number.
  constexpr size_t count = 20'000;
  const State start = start_of(count);
  const std::vector<float> first = normals(count, 11), second = normals(count, 12);
  AdamStep step;
  step.clip = 1;
  Array<float> g(test.device, first), m(test.device, start.m), v(test.device, start.v),
      x(test.device, start.x);
  Array<AdamStep> steps(test.device, std::vector<AdamStep>{step});
  const Array<double> loss(test.device, std::vector<double>{0.5});
  Array<StepTotals> totals(test.device, std::vector<StepTotals>{start.totals});
  const auto recording = test.device.record([&] {
    test.device.kernels().optimise->step(
        {steps.data(), count, g.data(), {x.data(), m.data(), v.data()}, loss.data(), totals.data()});
  });
  Row row = test.row("count 20000, two steps");
  row.that("is recorded", recording != nullptr).that("not made yet", x.values() == start.x);
  if (recording == nullptr) return;
  recording->replay();
  State expected = optimised(test.device, step, first, start, 0.5);
  row.that("first step", x.values() == expected.x);
  step.step = 1;
  steps.set({step});
  g.set(second);
  recording->replay();
  expected = optimised(test.device, step, second, expected, 0.5);
  row.that("second step", x.values() == expected.x && m.values() == expected.m && v.values() == expected.v)
      .that("both counted", totals.values()[0].steps == start.totals.steps + 2);
}

SELFTEST(adam_rows) {
  struct Shape {
    size_t n, size;
  };
  std::vector<Shape> shapes = {{1, 1},   {31, 33},  {33, 31}, {2, 1280},
                               {3, 257}, {1, 2100}, {401, 5}, {265, 129}};
  if (!test.quick) shapes.insert(shapes.end(), {{16, 1280}, {257, 257}, {255, 1280}});
  for (const Shape& shape : shapes)
    for (const double clip : {0.0, 1.0}) {
      const size_t count = shape.n * shape.size;
      std::vector<float> gradients = normals(count, 1);
      // Rows of different norms, some within the clip, one of zeros.
      for (size_t i = 0; i < count; ++i)
        gradients[i] *= i / shape.size % 4 == 0 ? 1e20f : i / shape.size % 4 == 1 ? 1e-4f : 1.0f;
      AdamStep step;
      step.learning_rate = 5e-3;
      step.step = 7;
      step.clip = clip;
      const State start = start_of(count);
      Adam exact{widened(start.m), widened(start.v), widened(start.x)};
      for (size_t i = 0; i < shape.n; ++i) {
        const std::vector<double> row = widened(
            std::vector<float>(gradients.begin() + static_cast<std::ptrdiff_t>(i * shape.size),
                               gradients.begin() + static_cast<std::ptrdiff_t>((i + 1) * shape.size)));
        const double norm = norm_of(row);
        exact.step(step, row, clip > 0 && norm + 1e-6 > clip ? clip / (norm + 1e-6) : 1, i * shape.size);
      }
      const auto on = [&](Device& device) {
        const Array<float> g(device, gradients);
        Array<float> m(device, start.m), v(device, start.v), x(device, start.x);
        device.kernels().optimise->rows({step, shape.n, shape.size, g.data(), m.data(), v.data(), x.data()});
        return State{m.values(), v.values(), x.values(), {}};
      };
      const State got = on(test.device), cpu = on(test.cpu);
      Row row = test.row("n " + std::to_string(shape.n) + ", size " + std::to_string(shape.size) +
                         (clip > 0 ? ", clipped" : ""));
      row.agrees("x", got.x, cpu.x, 1e-7).agrees("m", got.m, cpu.m, 1e-7).agrees("v", got.v, cpu.v, 1e-7);
      row.close("x", got.x, exact.x, 1e-6).close("m", got.m, exact.m, 1e-6);
      if (clip > 0) row.close("v", got.v, exact.v, 1e-6);
    }
}

}  // namespace tr0n::selftest
