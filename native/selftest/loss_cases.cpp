/// Squared errors, and sums of losses.
#include "selftest/test.h"

namespace tr0n::selftest {

SELFTEST(squared_error) {
  struct Shape {
    size_t n, size;
  };
  std::vector<Shape> shapes = {{1, 1},   {31, 33},  {33, 31}, {16, 128},
                               {3, 257}, {2, 2100}, {401, 5}, {265, 129}};
  if (!test.quick) shapes.insert(shapes.end(), {{255, 128}, {2048, 128}, {257, 1024}});
  for (const Shape& shape : shapes)
    for (const auto& [size_of_values, bound] :
         {std::pair{1.0f, 0.0f}, std::pair{1e30f, 0.0f} /* squares that a float cannot hold */,
          std::pair{0.4f, 1.5f}}) {
      const float most = bound;
      const size_t count = shape.n * shape.size;
      const std::vector<float> prediction = normals(count, 1, size_of_values),
                               target = normals(count, 2, size_of_values);
      std::vector<double> error(shape.n), gradient(count);
      for (size_t i = 0; i < count; ++i) {
        const double difference = static_cast<double>(prediction[i]) - static_cast<double>(target[i]);
        error[i / shape.size] += difference * difference / static_cast<double>(shape.size);
        gradient[i] = 2 * 0.25 * difference / static_cast<double>(shape.size);
        const double p = static_cast<double>(prediction[i]), b = static_cast<double>(most);
        if (b > 0) gradient[i] *= b - p * p / b;
      }
      const auto on = [&](Device& device, bool differentiate) {
        const Array<float> x(device, prediction), y(device, target);
        Array<double> e(device, shape.n);
        Array<float> g(device, count);
        device.kernels().loss->squared_error({shape.n, shape.size, x.data(), y.data(), 0.25f, most, e.data(),
                                              differentiate ? g.data() : nullptr});
        return std::make_pair(e.values(), g.values());
      };
      const auto got = on(test.device, true), cpu = on(test.cpu, true);
      test.row("n " + std::to_string(shape.n) + ", size " + std::to_string(shape.size) +
               (size_of_values > 1 ? ", large"
                : most > 0         ? ", bounded"
                                   : ""))
          .each_close("error", got.first, error, 1e-12)
          .close("gradient", got.second, gradient, 1e-6)
          .agrees("error", got.first, cpu.first, 1e-13)
          .same("gradient", got.second, cpu.second)
          .that("without a gradient", on(test.device, false).first == got.first);
    }
}

SELFTEST(weighted_sum) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{31}, size_t{33}, size_t{256}, size_t{5000}}) {
    std::vector<double> x = widened(normals(n, 1)), y = widened(normals(n, 2, 100.0f));
    for (double& value : x) value /= 3;  // more digits than a float has, so that sums round
    for (double& value : y) value /= 7;
    for (const bool two : {false, true}) {
      double exact = 0;
      for (size_t i = 0; i < n; ++i) exact += 0.5 * x[i] + (two ? -3.0 * y[i] : 0);
      const auto on = [&](Device& device) {
        const Array<double> a(device, x), b(device, y);
        Array<double> out(device, 1);
        device.kernels().loss->weighted_sum({n, a.data(), 0.5, two ? b.data() : nullptr, -3.0, out.data()});
        return out.values();
      };
      const std::vector<double> got = on(test.device);
      test.row("n " + std::to_string(n) + (two ? ", two" : ", one"))
          .each_close("sum", got, {exact}, 1e-11)
          .that("is the CPU's", std::fabs(got[0] - on(test.cpu)[0]) <= 1e-11 * (1 + std::fabs(exact)))
          .same("again", on(test.device), got);
    }
  }
}

}  // namespace tr0n::selftest
