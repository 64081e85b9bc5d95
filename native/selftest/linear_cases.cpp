/// Linear layers: values and gradients against float64 products, at sizes around every tile's edge; bits of
/// rows whatever else is in the call; NaN and infinities; empty batches.
#include <cmath>

#include "selftest/linear.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

LinearLayer forward_layer(const Layer& layer, const float* x, const Array<float>& weight,
                          const Array<float>& bias) {
  LinearLayer l;
  l.in = layer.in;
  l.out = layer.out;
  l.x = x;
  l.weight = weight.data();
  l.bias = bias.data();
  return l;
}

double activated(Activation activation, double bound, double u) {
  if (activation == Activation::relu) return u < 0 ? 0 : u;
  return activation == Activation::tanh_bound ? bound * std::tanh(u) : u;
}

}  // namespace

SELFTEST(linear_forward) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    for (const LayerSizes& s : sizes(test.quick)) {
      // One layer without anything, one with all there is: a group.
      const Layer plain(s, 1), full(s.n, s.in, s.out + 2, 5);
      const std::vector<float> x = normals(s.n * s.in, 9), residual = normals(s.n * full.out, 10);
      const auto run = [&](Device& device, bool independent, auto& y, auto& z, auto& a, const auto& done) {
        const Array<float> dx(device, x), dr(device, residual), w1(device, plain.weight),
            b1(device, plain.bias), w2(device, full.weight), b2(device, full.bias);
        LinearLayer layers[2] = {forward_layer(plain, dx.data(), w1, b1),
                                 forward_layer(full, dx.data(), w2, b2)};
        layers[0].activation = Activation::tanh_bound;
        layers[0].bound = 2;
        layers[0].y = y.data();
        layers[1].activation = Activation::relu;
        layers[1].residual = dr.data();
        layers[1].activated = a.data();
        layers[1].y = z.data();
        const auto call = [&] {
          device.kernels().linear->forward({{precision, independent}, s.n, layers, 2});
        };
        call();
        done(call);
      };
      Array<float> cy(test.cpu, s.n * s.out), cz(test.cpu, s.n * full.out), ca(test.cpu, s.n * full.out);
      run(test.cpu, true, cy, cz, ca, [](const auto&) {});
      const std::vector<double> u1 = plain.forward(x, s.n), u2 = full.forward(x, s.n);
      std::vector<double> ry(u1.size()), rz(u2.size()), ra(u2.size());
      for (size_t i = 0; i < u1.size(); ++i) ry[i] = activated(Activation::tanh_bound, 2, u1[i]);
      for (size_t i = 0; i < u2.size(); ++i) {
        ra[i] = activated(Activation::relu, 0, u2[i]);
        rz[i] = ra[i] + static_cast<double>(residual[i]);
      }
      for (const bool independent : {true, false}) {
        Array<float> y(test.device, s.n * s.out), z(test.device, s.n * full.out),
            a(test.device, s.n * full.out);
        run(test.device, independent, y, z, a, [&](const auto& call) {
          const double tolerance = tolerance_of(precision);
          test.row(s.text(precision) + (independent ? "" : " split"))
              .close("y", y.values(), ry, tolerance)
              .close("activated", a.values(), ra, tolerance)
              .close("residual", z.values(), rz, tolerance)
              .agrees("y", y.values(), cy.values(), tolerance)
              .agrees("residual", z.values(), cz.values(), tolerance)
              .timed(s.work(precision, 2), call);
        });
      }
    }
  }
}

SELFTEST(linear_forward_rows) {
  // A row's bits: alone, among a few, among many, each in tiles of another shape.
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    const size_t in = 75, out = 260, many = test.quick ? 300 : 6000;
    const Layer layer(many, in, out, 3);
    const std::vector<float> x = normals(many * in, 4);
    const Array<float> weight(test.device, layer.weight), bias(test.device, layer.bias);
    const auto rows = [&](size_t first, size_t n) {
      const Array<float> dx(test.device, std::vector<float>(x.begin() + static_cast<long>(first * in),
                                                            x.begin() + static_cast<long>((first + n) * in)));
      Array<float> y(test.device, n * out);
      LinearLayer l = forward_layer(layer, dx.data(), weight, bias);
      l.y = y.data();
      test.device.kernels().linear->forward({{precision, true}, n, &l, 1});
      return y.values();
    };
    const std::vector<float> all = rows(0, many);
    const auto part = [&](size_t first, size_t n) {
      return std::vector<float>(all.begin() + static_cast<long>(first * out),
                                all.begin() + static_cast<long>((first + n) * out));
    };
    test.row(precision == Precision::fp32 ? "fp32" : "tf32")
        .same("row 0 alone", rows(0, 1), part(0, 1))
        .same("row 77 alone", rows(77, 1), part(77, 1))
        .same("16 rows", rows(70, 16), part(70, 16))
        .same("65 rows", rows(200, 65), part(200, 65));
  }
}

SELFTEST(linear_forward_not_finite) {
  const size_t n = 17, in = 40, out = 33;
  const Layer layer(n, in, out, 3);
  std::vector<float> x = normals(n * in, 4);
  x[3 * in + 7] = NAN;
  x[5 * in + 1] = INFINITY;
  x[16 * in + 39] = -INFINITY;
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    for (const Activation activation : {Activation::none, Activation::relu, Activation::tanh_bound}) {
      const auto run = [&](Device& device) {
        const Array<float> dx(device, x), weight(device, layer.weight), bias(device, layer.bias);
        Array<float> y(device, n * out);
        LinearLayer l = forward_layer(layer, dx.data(), weight, bias);
        l.activation = activation;
        l.bound = 3;
        l.y = y.data();
        device.kernels().linear->forward({{precision, true}, n, &l, 1});
        return y.values();
      };
      const std::vector<float> got = run(test.device), expected = run(test.cpu);
      bool alike = true, nan = false, infinite = false;
      for (size_t i = 0; i < got.size(); ++i) {
        const bool finite = std::isfinite(expected[i]);
        nan |= std::isnan(got[i]);
        infinite |= std::isinf(got[i]);
        alike &= std::isnan(got[i]) == std::isnan(expected[i]) && std::isfinite(got[i]) == finite &&
                 (!std::isinf(expected[i]) || got[i] == expected[i]) &&
                 (!finite || std::fabs(got[i] - expected[i]) <= 0.02f * (1 + std::fabs(expected[i])));
      }
      test.row((precision == Precision::fp32 ? "fp32 activation " : "tf32 activation ") +
               std::to_string(static_cast<int>(activation)))
          .that("NaN and infinities as on the CPU", alike)
          .that("there is NaN", nan)
          .that("there are infinities", infinite == (activation != Activation::tanh_bound));
    }
  }
}

SELFTEST(linear_backward_input) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    for (const LayerSizes& s : sizes(test.quick)) {
      const Layer first(s, 1), second(s.n, s.in, 3 * s.out / 2 + 1, 5);
      const std::vector<float> dy1 = normals(s.n * first.out, 7), dy2 = normals(s.n * second.out, 8),
                               add = normals(s.n * s.in, 9);
      std::vector<float> activations = normals(s.n * s.in, 10);
      for (size_t i = 3; i < activations.size(); i += 7) activations[i] = 0;  // as after a relu
      std::vector<double> expected = first.backward(dy1, s.n), other = second.backward(dy2, s.n),
                          masked(expected.size()), alone = other;
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] += other[i] + static_cast<double>(add[i]);
        masked[i] = activations[i] > 0 ? expected[i] : 0;
        alone[i] = activations[i] > 0 ? other[i] : 0;
      }
      const auto run = [&](Device& device, bool independent, const auto& done) {
        const Array<float> w1(device, first.weight), w2(device, second.weight), y1(device, dy1),
            y2(device, dy2), positive(device, activations);
        Array<float> dx(device, add), m(device, s.n * s.in), only(device, s.n * s.in);
        const LinearAdjoint layers[2] = {{first.out, y1.data(), w1.data()},
                                         {second.out, y2.data(), w2.data()}};
        const MatrixMode mode{precision, independent};
        // dx is add; then a masked result alone.
        device.kernels().linear->backward_input(
            {mode, s.n, layers, 2, {s.in, dx.data(), dx.data(), positive.data(), m.data()}});
        const auto call = [&] {
          device.kernels().linear->backward_input(
              {mode, s.n, layers + 1, 1, {s.in, nullptr, nullptr, positive.data(), only.data()}});
        };
        call();
        done(dx.values(), m.values(), only.values(), call);
      };
      std::vector<float> cpu_dx;
      run(test.cpu, true, [&](const auto& dx, const auto&, const auto&, const auto&) { cpu_dx = dx; });
      for (const bool independent : {true, false}) {
        run(test.device, independent, [&](const auto& dx, const auto& m, const auto& only, const auto& call) {
          const double tolerance = tolerance_of(precision);
          test.row(s.text(precision) + (independent ? "" : " split"))
              .close("dx", dx, expected, tolerance)
              .close("masked", m, masked, tolerance)
              .close("masked alone", only, alone, tolerance)
              .agrees("dx", dx, cpu_dx, tolerance)
              .timed({1.5 * s.work(precision, 1).bytes, 1.5 * s.work(precision, 1).flops,
                      precision == Precision::tf32},
                     call);
        });
      }
    }
  }
}

SELFTEST(linear_backward_weight) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    for (const LayerSizes& s : sizes(test.quick)) {
      const size_t other = s.out + 3;
      const std::vector<float> x = normals(s.n * s.in, 6), dy1 = normals(s.n * s.out, 7),
                               dy2 = normals(s.n * other, 8);
      const auto run = [&](Device& device, const auto& done) {
        const Array<float> dx(device, x), y1(device, dy1), y2(device, dy2);
        Array<float> w1(device, s.out * s.in), w2(device, other * s.in), b1(device, s.out), b2(device, other);
        const LinearGradient layers[2] = {{s.in, s.out, dx.data(), y1.data(), w1.data(), b1.data()},
                                          {s.in, other, dx.data(), y2.data(), w2.data(), b2.data()}};
        const auto call = [&] {
          device.kernels().linear->backward_weight({{precision, false}, s.n, layers, 2});
        };
        call();
        done(w1.values(), b1.values(), w2.values(), b2.values(), call);
      };
      std::vector<float> cpu_w, cpu_b;
      run(test.cpu, [&](const auto& w, const auto& b, const auto&, const auto&, const auto&) {
        cpu_w = w;
        cpu_b = b;
      });
      run(test.device, [&](const auto& w1, const auto& b1, const auto& w2, const auto& b2, const auto& call) {
        const double tolerance = tolerance_of(precision);
        test.row(s.text(precision))
            .close("dweight", w1, weight_gradient(x, dy1, s.n, s.in, s.out), tolerance)
            .close("dbias", b1, bias_gradient(dy1, s.n, s.out), 1e-5)
            .close("dweight", w2, weight_gradient(x, dy2, s.n, s.in, other), tolerance)
            .close("dbias", b2, bias_gradient(dy2, s.n, other), 1e-5)
            .agrees("dweight", w1, cpu_w, tolerance)
            .agrees("dbias", b1, cpu_b, 1e-5)
            .timed(s.work(precision, 2), call);
      });
    }
  }
}

SELFTEST(linear_groups) {
  // More layers than one launch takes, of different sizes.
  const size_t n = 19, in = 36, count = 19;
  const std::vector<float> x = normals(n * in, 1), add = normals(n * in, 2), positive = normals(n * in, 3);
  std::vector<Layer> layers;
  for (size_t i = 0; i < count; ++i) layers.emplace_back(n, in, 3 + 7 * i, static_cast<uint32_t>(10 + 2 * i));
  Row row = test.row("19 layers");
  const Array<float> dx(test.device, x), extra(test.device, add), activated_before(test.device, positive);
  std::vector<Array<float>> weights, biases, y, dy, dweights, dbiases;
  std::vector<std::vector<float>> adjoints;
  std::vector<LinearLayer> forward;
  std::vector<LinearAdjoint> backward;
  std::vector<LinearGradient> gradients;
  for (const Layer& layer : layers) {
    adjoints.push_back(normals(n * layer.out, static_cast<uint32_t>(100 + layer.out)));
    weights.emplace_back(test.device, layer.weight);
    biases.emplace_back(test.device, layer.bias);
    y.emplace_back(test.device, n * layer.out);
    dy.emplace_back(test.device, adjoints.back());
    dweights.emplace_back(test.device, layer.out * in);
    dbiases.emplace_back(test.device, layer.out);
  }
  for (size_t i = 0; i < count; ++i) {
    forward.push_back(forward_layer(layers[i], dx.data(), weights[i], biases[i]));
    forward.back().y = y[i].data();
    backward.push_back({layers[i].out, dy[i].data(), weights[i].data()});
    gradients.push_back({in, layers[i].out, dx.data(), dy[i].data(), dweights[i].data(), dbiases[i].data()});
  }
  const Kernels& kernels = test.device.kernels();
  kernels.linear->forward({{}, n, forward.data(), count});
  kernels.linear->backward_weight({{}, n, gradients.data(), count});
  std::vector<double> sum = widened(add), masked(n * in);
  for (size_t i = 0; i < count; ++i) {
    row.close("y", y[i].values(), layers[i].forward(x, n), 1e-5)
        .close("dweight", dweights[i].values(), weight_gradient(x, adjoints[i], n, in, layers[i].out), 1e-5)
        .close("dbias", dbiases[i].values(), bias_gradient(adjoints[i], n, layers[i].out), 1e-5);
    const std::vector<double> part = layers[i].backward(adjoints[i], n);
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += part[j];
  }
  for (size_t j = 0; j < sum.size(); ++j) masked[j] = positive[j] > 0 ? sum[j] : 0;
  Array<float> result(test.device, n * in), alone(test.device, n * in), both(test.device, n * in);
  kernels.linear->backward_input({{},
                                  n,
                                  backward.data(),
                                  count,
                                  {in, extra.data(), result.data(), activated_before.data(), both.data()}});
  kernels.linear->backward_input(
      {{}, n, backward.data(), count, {in, extra.data(), nullptr, activated_before.data(), alone.data()}});
  row.close("dx", result.values(), sum, 1e-5)
      .close("masked", both.values(), masked, 1e-5)
      .close("masked alone", alone.values(), masked, 1e-5);
  // None at all: what is added stays.
  kernels.linear->backward_input({{}, n, nullptr, 0, {in, extra.data(), result.data(), nullptr, nullptr}});
  row.close("dx of no layers", result.values(), widened(add), 0);
}

SELFTEST(linear_empty) {
  const size_t in = 33, out = 20;
  const Layer layer(1, in, out, 1);
  const Array<float> weight(test.device, layer.weight), bias(test.device, layer.bias),
      nothing(test.device, 1);
  const std::vector<float> before = normals(out * in, 2);
  Array<float> y(test.device, before), dx(test.device, before), dweight(test.device, before),
      dbias(test.device, normals(out, 3));
  LinearLayer l = forward_layer(layer, nothing.data(), weight, bias);
  l.y = y.data();
  const LinearAdjoint adjoint{out, nothing.data(), weight.data()};
  const LinearGradient gradient{in, out, nothing.data(), nothing.data(), dweight.data(), dbias.data()};
  const Kernels& kernels = test.device.kernels();
  kernels.linear->forward({{}, 0, &l, 1});
  kernels.linear->backward_input({{}, 0, &adjoint, 1, {in, nullptr, dx.data(), nullptr, nullptr}});
  kernels.linear->backward_weight({{}, 0, &gradient, 1});
  Row row = test.row("n 0");
  row.same("y", y.values(), before).same("dx", dx.values(), before);
  row.same("dweight", dweight.values(), std::vector<float>(out * in));
  row.same("dbias", dbias.values(), std::vector<float>(out));
}

}  // namespace tr0n::selftest
