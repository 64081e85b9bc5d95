/// Grouped linear layers and the optimiser's two forms, against float64.
#include <algorithm>

#include "base/rng.h"
#include "device/buffer.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

constexpr size_t kSizes[] = {1, 2, 7, 31, 33, 257};

std::vector<float> normals(size_t n, uint32_t stream) {
  std::vector<float> x(n);
  Philox(31).normal({stream, 0}, 0, Purpose::init, x.data(), n);
  return x;
}

const Kernels& kernels() { return cpu_device().kernels(); }

/// ‖a − b‖ / ‖b‖; infinite where something is not a number.
double relative_error(const std::vector<float>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += b[i] * b[i];
  }
  const double error = std::sqrt(difference) / std::fmax(std::sqrt(size), 1e-30);
  return std::isfinite(error) ? error : INFINITY;
}

/// Two layers on the same rows, as float32 data and float64 results.
struct Group {
  size_t n, in, out[2];
  std::vector<float> x, weight[2], bias[2], dy[2], residual;

  Group(size_t rows, size_t inputs, size_t outputs)
      : n(rows), in(inputs), out{outputs, outputs / 2 + 1}, x(normals(n * in, 1)), residual() {
    for (size_t l = 0; l < 2; ++l) {
      const uint32_t stream = static_cast<uint32_t>(10 * l);
      weight[l] = normals(out[l] * in, stream + 2);
      bias[l] = normals(out[l], stream + 3);
      dy[l] = normals(n * out[l], stream + 4);
    }
    residual = normals(n * out[0], 5);
  }

  std::vector<double> forward(size_t l) const {
    std::vector<double> y(n * out[l]);
    for (size_t i = 0; i < n; ++i)
      for (size_t o = 0; o < out[l]; ++o) {
        double sum = static_cast<double>(bias[l][o]);
        for (size_t j = 0; j < in; ++j)
          sum += static_cast<double>(x[i * in + j]) * static_cast<double>(weight[l][o * in + j]);
        y[i * out[l] + o] = sum;
      }
    return y;
  }
  std::vector<double> adjoint() const {
    std::vector<double> dx(n * in);
    for (size_t l = 0; l < 2; ++l)
      for (size_t i = 0; i < n; ++i)
        for (size_t o = 0; o < out[l]; ++o)
          for (size_t j = 0; j < in; ++j)
            dx[i * in + j] +=
                static_cast<double>(dy[l][i * out[l] + o]) * static_cast<double>(weight[l][o * in + j]);
    return dx;
  }
  std::vector<double> weight_gradient(size_t l) const {
    std::vector<double> dw(out[l] * in);
    for (size_t i = 0; i < n; ++i)
      for (size_t o = 0; o < out[l]; ++o)
        for (size_t j = 0; j < in; ++j)
          dw[o * in + j] += static_cast<double>(dy[l][i * out[l] + o]) * static_cast<double>(x[i * in + j]);
    return dw;
  }
  std::vector<double> bias_gradient(size_t l) const {
    std::vector<double> db(out[l]);
    for (size_t i = 0; i < n; ++i)
      for (size_t o = 0; o < out[l]; ++o) db[o] += static_cast<double>(dy[l][i * out[l] + o]);
    return db;
  }
};

/// All combinations of the sizes that are affordable.
void for_groups(const std::function<void(const Group&)>& body) {
  for (const size_t n : kSizes)
    for (const size_t in : kSizes)
      for (const size_t out : kSizes)
        if (n * in * out < 300'000) body(Group(n, in, out));
}

}  // namespace

TEST(linear_forward_groups_against_double) {
  double worst = 0;
  for_groups([&](const Group& g) {
    std::vector<float> y[2] = {std::vector<float>(g.n * g.out[0]), std::vector<float>(g.n * g.out[1])};
    std::vector<float> activated(g.n * g.out[0]);
    const LinearLayer layers[2] = {{g.in, g.out[0], g.x.data(), g.weight[0].data(), g.bias[0].data(),
                                    Activation::relu, 0, g.residual.data(), activated.data(), y[0].data()},
                                   {g.in, g.out[1], g.x.data(), g.weight[1].data(), g.bias[1].data(),
                                    Activation::tanh_bound, 2, nullptr, nullptr, y[1].data()}};
    kernels().linear->forward({{}, g.n, layers, 2});
    std::vector<double> expected[2] = {g.forward(0), g.forward(1)};
    for (size_t i = 0; i < activated.size(); ++i) CHECK(y[0][i] == activated[i] + g.residual[i]);
    for (double& v : expected[0]) v = std::fmax(v, 0.0);
    for (double& v : expected[1]) v = 2 * std::tanh(v);
    worst = std::fmax(worst, relative_error(y[1], expected[1]));
    // Where a single output is cut off at zero its rounding is all there is to compare.
    if (activated.size() > 16) worst = std::fmax(worst, relative_error(activated, expected[0]));
  });
  std::printf("  largest relative error %.2g\n", worst);
  CHECK(worst < 1e-5);
}

TEST(linear_backward_groups_against_double) {
  double worst = 0;
  for_groups([&](const Group& g) {
    const std::vector<double> expected = g.adjoint();
    const std::vector<float> add = normals(g.n * g.in, 6), gate = normals(g.n * g.in, 7);
    const LinearAdjoint layers[2] = {{g.out[0], g.dy[0].data(), g.weight[0].data()},
                                     {g.out[1], g.dy[1].data(), g.weight[1].data()}};
    std::vector<float> plain(g.n * g.in), sum(add), masked(g.n * g.in), alone(g.n * g.in);
    kernels().linear->backward_input({{}, g.n, layers, 2, {g.in, nullptr, plain.data(), nullptr, nullptr}});
    kernels().linear->backward_input(
        {{}, g.n, layers, 2, {g.in, sum.data(), sum.data(), gate.data(), masked.data()}});
    kernels().linear->backward_input(
        {{}, g.n, layers, 2, {g.in, add.data(), nullptr, gate.data(), alone.data()}});
    std::vector<double> with_add(expected);
    for (size_t i = 0; i < with_add.size(); ++i) with_add[i] += static_cast<double>(add[i]);
    worst = std::fmax(worst, std::fmax(relative_error(plain, expected), relative_error(sum, with_add)));
    for (size_t i = 0; i < masked.size(); ++i) {
      CHECK(masked[i] == (gate[i] > 0 ? sum[i] : 0.0f));
      CHECK(alone[i] == masked[i]);
    }
    LinearGradient gradients[2];
    std::vector<float> dw[2], db[2];
    for (size_t l = 0; l < 2; ++l) {
      dw[l].resize(g.out[l] * g.in);
      db[l].resize(g.out[l]);
      gradients[l] = {g.in, g.out[l], g.x.data(), g.dy[l].data(), dw[l].data(), db[l].data()};
    }
    kernels().linear->backward_weight({{}, g.n, gradients, 2});
    for (size_t l = 0; l < 2; ++l) {
      worst = std::fmax(worst, relative_error(dw[l], g.weight_gradient(l)));
      worst = std::fmax(worst, relative_error(db[l], g.bias_gradient(l)));
    }
  });
  std::printf("  largest relative error %.2g\n", worst);
  CHECK(worst < 1e-5);
}

namespace {

/// Parameters with moments as if some steps had been made.
struct State {
  std::vector<float> x, m, v;
  State(size_t size, uint32_t stream)
      : x(normals(size, stream)), m(normals(size, stream + 1)), v(normals(size, stream + 2)) {
    for (float& value : v) value *= value;
  }
  AdamArrays arrays() { return {x.data(), m.data(), v.data()}; }
  bool operator==(const State& other) const { return x == other.x && m == other.m && v == other.v; }
};

/// One step in float64 with gradients g of norm `norm`; returns the largest error of x against it.
double adam_error(const State& before, const State& after, const std::vector<double>& g, double norm,
                  const AdamStep& step) {
  const double scale = std::fmin(1.0, step.clip / (norm + 1e-6)), t = static_cast<double>(step.step) + 1;
  double worst = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    const double m = 0.9 * static_cast<double>(before.m[i]) + 0.1 * scale * g[i],
                 v = 0.999 * static_cast<double>(before.v[i]) + 0.001 * std::pow(scale * g[i], 2),
                 x = static_cast<double>(before.x[i]) - step.learning_rate * (m / (1 - std::pow(0.9, t))) /
                                                            (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    const double error = std::fabs(static_cast<double>(after.x[i]) - x) / (1 + std::fabs(x));
    worst = error <= worst ? worst : error;
  }
  return worst;
}

}  // namespace

TEST(optimise_linear_equals_materialised_gradients) {
  double worst = 0, worst_norm = 0;
  for_groups([&](const Group& g) {
    if (g.n > 64) return;
    AdamStep step;
    step.learning_rate = 1e-2;
    step.step = 11;
    step.clip = 0.5;
    const std::vector<float> vector_gradient = normals(g.in, 8);
    State weights[2] = {State(g.out[0] * g.in, 20), State(g.out[1] * g.in, 30)};
    State biases[2] = {State(g.out[0], 40), State(g.out[1], 50)}, vector(g.in, 60);
    const State weights_before[2] = {weights[0], weights[1]}, biases_before[2] = {biases[0], biases[1]},
                vector_before = vector;
    LinearUpdate layers[2];
    for (size_t l = 0; l < 2; ++l)
      layers[l] = {g.in, g.out[l], g.x.data(), g.dy[l].data(), weights[l].arrays(), biases[l].arrays()};
    const VectorUpdate rest{g.in, vector_gradient.data(), vector.arrays()};
    const double loss = 3;
    StepTotals totals;
    kernels().linear_update->optimise({{}, &step, g.n, layers, 2, &rest, 1, &loss, &totals});

    double square = 0;
    std::vector<double> gradient[5] = {g.weight_gradient(0), g.weight_gradient(1), g.bias_gradient(0),
                                       g.bias_gradient(1),
                                       std::vector<double>(vector_gradient.begin(), vector_gradient.end())};
    for (const auto& part : gradient)
      for (const double v : part) square += v * v;
    const double norm = std::sqrt(square);
    worst_norm = std::fmax(worst_norm, std::fabs(totals.gradient_norm - norm) / norm);
    CHECK(totals.steps == 1 && totals.loss_sum == 3 && totals.stopped == 0);
    for (size_t l = 0; l < 2; ++l) {
      worst = std::fmax(worst, adam_error(weights_before[l], weights[l], gradient[l], norm, step));
      worst = std::fmax(worst, adam_error(biases_before[l], biases[l], gradient[2 + l], norm, step));
    }
    worst = std::fmax(worst, adam_error(vector_before, vector, gradient[4], norm, step));
  });
  std::printf("  largest error of the norm %.2g, of a parameter %.2g\n", worst_norm, worst);
  CHECK(worst_norm < 1e-5);
  CHECK(worst < 1e-5);
}

TEST(optimise_stops_where_something_is_not_finite) {
  const Group g(5, 9, 6);
  State flat(40, 70), weight(g.out[0] * g.in, 80), bias(g.out[0], 90);
  const State flat_before = flat, weight_before = weight, bias_before = bias;
  const std::vector<float> gradients = normals(40, 9);
  AdamStep step;
  for (const bool bad_loss : {true, false}) {
    StepTotals totals, fused_totals;
    std::vector<float> g_bad(gradients), dy_bad(g.dy[0]);
    if (!bad_loss) g_bad[17] = dy_bad[3] = NAN;
    const double loss = bad_loss ? INFINITY : 1.0, good_loss = 1.0;
    const LinearUpdate layer{g.in, g.out[0], g.x.data(), dy_bad.data(), weight.arrays(), bias.arrays()};
    const LinearUpdate good{g.in, g.out[0], g.x.data(), g.dy[0].data(), weight.arrays(), bias.arrays()};
    kernels().optimise->step({&step, 40, g_bad.data(), flat.arrays(), &loss, &totals});
    kernels().linear_update->optimise({{}, &step, g.n, &layer, 1, nullptr, 0, &loss, &fused_totals});
    // Steps after it change nothing, however good they are.
    kernels().optimise->step({&step, 40, gradients.data(), flat.arrays(), &good_loss, &totals});
    kernels().linear_update->optimise({{}, &step, g.n, &good, 1, nullptr, 0, &good_loss, &fused_totals});
    for (const StepTotals& t : {totals, fused_totals}) {
      CHECK(t.stopped == 1 && t.steps == 0 && t.loss_sum == 0);
      CHECK(bad_loss ? std::isinf(t.loss) : std::isnan(t.gradient_norm));
    }
    CHECK(flat == flat_before && weight == weight_before && bias == bias_before);
  }
}
