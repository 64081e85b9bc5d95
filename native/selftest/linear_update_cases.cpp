/// Adam on layers whose gradients are never in memory: against gradients, norm and Adam in float64, and
/// against the CPU.
#include "selftest/adam.h"
#include "selftest/linear.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

/// Layers over the same rows, and vectors, with moments.
struct Problem {
  size_t n;
  struct Arrays {
    std::vector<float> x, m, v;
    Arrays(size_t size, uint32_t stream)
        : x(normals(size, stream, 0.1f)),
          m(normals(size, stream + 1, 1e-3f)),
          v(uniforms(size, stream + 2, 1e-6f, 1e-3f)) {}
  };
  struct Layer {
    size_t in, out;
    std::vector<float> x, dy;
    Arrays weight, bias;
  };
  struct Vector {
    std::vector<float> gradient;
    Arrays arrays;
  };
  std::vector<Layer> layers;
  std::vector<Vector> vectors;
  StepTotals totals;

  Problem(size_t rows, const std::vector<std::pair<size_t, size_t>>& shapes, const std::vector<size_t>& sizes)
      : n(rows) {
    uint32_t stream = 1;
    for (const auto& [in, out] : shapes) {
      layers.push_back({in, out, normals(n * in, stream), normals(n * out, stream + 1, 0.01f),
                        Arrays(in * out, stream + 2), Arrays(out, stream + 5)});
      stream += 8;
    }
    for (const size_t size : sizes) {
      vectors.push_back({normals(size, stream, 0.1f), Arrays(size, stream + 1)});
      stream += 4;
    }
    totals.loss_sum = 10;
    totals.steps = 3;
  }

  /// All parameters or moments one after the other.
  std::vector<float> all(std::vector<float> Arrays::*which) const {
    std::vector<float> result;
    const auto append = [&](const std::vector<float>& values) {
      result.insert(result.end(), values.begin(), values.end());
    };
    for (const Layer& l : layers) append(l.weight.*which), append(l.bias.*which);
    for (const Vector& v : vectors) append(v.arrays.*which);
    return result;
  }
  std::vector<double> gradient() const {
    std::vector<double> result;
    const auto append = [&](const std::vector<double>& values) {
      result.insert(result.end(), values.begin(), values.end());
    };
    for (const Layer& l : layers) {
      append(weight_gradient(l.x, l.dy, n, l.in, l.out));
      append(bias_gradient(l.dy, n, l.out));
    }
    for (const Vector& v : vectors) append(widened(v.gradient));
    return result;
  }
};

/// A problem in a device's memory.
class Placed {
 public:
  Placed(Device& device, const Problem& problem) : device_(device), n_(problem.n) {
    for (const Problem::Layer& l : problem.layers) {
      place(l.weight);
      place(l.bias);
      inputs_.emplace_back(device, l.x);
      adjoints_.emplace_back(device, l.dy);
    }
    for (const Problem::Vector& v : problem.vectors) {
      place(v.arrays);
      gradients_.emplace_back(device, v.gradient);
    }
    size_t next = 0;
    const auto arrays = [&] {
      const AdamArrays result{x_[next].data(), m_[next].data(), v_[next].data()};
      ++next;
      return result;
    };
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Problem::Layer& l = problem.layers[i];
      const AdamArrays weight = arrays(), bias = arrays();
      layers_.push_back({l.in, l.out, inputs_[i].data(), adjoints_[i].data(), weight, bias});
    }
    for (const Array<float>& gradient : gradients_)
      vectors_.push_back({gradient.size(), gradient.data(), arrays()});
    totals_.emplace_back(device, std::vector<StepTotals>{problem.totals});
  }

  void step(Precision precision, const AdamStep& adam, double loss) {
    const Array<AdamStep> steps(device_, std::vector<AdamStep>{adam});
    const Array<double> losses(device_, std::vector<double>{loss});
    device_.kernels().linear_update->optimise({{precision, false},
                                               steps.data(),
                                               n_,
                                               layers_.data(),
                                               layers_.size(),
                                               vectors_.data(),
                                               vectors_.size(),
                                               losses.data(),
                                               totals_[0].data()});
    static_cast<void>(totals_[0].values());  // waits: the arrays above end here
  }

  std::vector<float> x() const { return all(x_); }
  std::vector<float> m() const { return all(m_); }
  std::vector<float> v() const { return all(v_); }
  StepTotals totals() const { return totals_[0].values()[0]; }

 private:
  void place(const Problem::Arrays& arrays) {
    x_.emplace_back(device_, arrays.x);
    m_.emplace_back(device_, arrays.m);
    v_.emplace_back(device_, arrays.v);
  }
  static std::vector<float> all(const std::vector<Array<float>>& arrays) {
    std::vector<float> result;
    for (const Array<float>& array : arrays) {
      const std::vector<float> values = array.values();
      result.insert(result.end(), values.begin(), values.end());
    }
    return result;
  }

  Device& device_;
  size_t n_;
  std::vector<Array<float>> x_, m_, v_, inputs_, adjoints_, gradients_;
  std::vector<LinearUpdate> layers_;
  std::vector<VectorUpdate> vectors_;
  std::vector<Array<StepTotals>> totals_;
};

AdamStep step_of(uint64_t step, double clip) {
  AdamStep adam;
  adam.learning_rate = 1e-2;
  adam.step = step;
  adam.clip = clip;
  return adam;
}

}  // namespace

SELFTEST(optimise_linear) {
  struct Shape {
    size_t n;
    std::vector<std::pair<size_t, size_t>> layers;
    std::vector<size_t> vectors;
  };
  std::vector<Shape> shapes = {
      {1, {{1, 1}}, {}},
      {16, {{33, 31}, {260, 132}}, {7}},
      {17, {{257, 10}, {32, 33}}, {5000}},
      {64, {{40, 257}}, {1, 33}},
      {65, {{31, 33}}, {}},
      {131, {{32, 64}}, {3}},
      // More than one launch takes.
      {3, {{4, 5}, {5, 6}, {6, 7}, {7, 8}, {8, 9}, {9, 10}, {10, 11}, {11, 12}, {12, 13}, {130, 3}}, {2, 3}},
      {2, {{4, 5}}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}},
      {0, {{33, 20}}, {9}}};
  if (!test.quick)
    for (const size_t n : {size_t{1}, size_t{16}, size_t{64}, size_t{255}})
      shapes.push_back({n, {{512, 2048}, {2048, 2048}, {2048, 1280}, {2048, 10}, {2048, 128}}, {128}});
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    for (const Shape& shape : shapes) {
      for (const double clip : {0.0, 0.01}) {
        const Problem problem(shape.n, shape.layers, shape.vectors);
        const std::vector<double> gradient = problem.gradient();
        const double norm = norm_of(gradient),
                     scale = clip > 0 && norm + 1e-6 > clip ? clip / (norm + 1e-6) : 1;
        const AdamStep adam = step_of(4, clip);
        Adam exact{widened(problem.all(&Problem::Arrays::m)), widened(problem.all(&Problem::Arrays::v)),
                   widened(problem.all(&Problem::Arrays::x))};
        exact.step(adam, gradient, scale);
        Placed got(test.device, problem), cpu(test.cpu, problem);
        got.step(precision, adam, 0.5);
        cpu.step(precision, adam, 0.5);
        const double tolerance = tolerance_of(precision);
        const StepTotals totals = got.totals();
        test.row("n " + std::to_string(shape.n) + ", layers " + std::to_string(shape.layers.size()) +
                 ", vectors " + std::to_string(shape.vectors.size()) + (clip > 0 ? ", clipped" : "") +
                 (precision == Precision::fp32 ? " fp32" : " tf32"))
            .close("m", got.m(), exact.m, tolerance)
            .close("v", got.v(), exact.v, tolerance)
            .close("x", got.x(), exact.x, tolerance)
            .agrees("m", got.m(), cpu.m(), tolerance)
            .agrees("v", got.v(), cpu.v(), tolerance)
            .agrees("x", got.x(), cpu.x(), tolerance)
            .close("norm", std::vector<double>{totals.gradient_norm}, {norm}, 1e-5)
            .that("totals",
                  totals.loss == 0.5 && totals.loss_sum == 10.5 && totals.steps == 4 && totals.stopped == 0);
      }
    }
  }
}

SELFTEST(optimise_linear_steps) {
  // One step after the other, of different shapes in between: what blocks count is ready again each time.
  const Problem problem(16, {{70, 33}, {33, 20}}, {5}), other(33, {{300, 9}}, {}), empty(5, {}, {});
  Placed got(test.device, problem), cpu(test.cpu, problem), between(test.device, other),
      nothing(test.device, empty);
  for (uint64_t step = 0; step < 4; ++step) {
    got.step(Precision::fp32, step_of(step, 1), 1);
    between.step(Precision::fp32, step_of(step, 1), 1);
    nothing.step(Precision::fp32, step_of(step, 1), 1);
    cpu.step(Precision::fp32, step_of(step, 1), 1);
  }
  Placed again(test.device, problem);
  for (uint64_t step = 0; step < 4; ++step) again.step(Precision::fp32, step_of(step, 1), 1);
  test.row("four steps")
      .agrees("x", got.x(), cpu.x(), 1e-5)
      .agrees("m", got.m(), cpu.m(), 1e-5)
      .that("the same bits again", got.x() == again.x() && got.v() == again.v())
      .that("all counted", got.totals().steps == 7 && between.totals().steps == 7)
      .that("without parameters, too", nothing.totals().steps == 7 && nothing.totals().gradient_norm == 0);
}

SELFTEST(optimise_linear_stops) {
  const auto hold = [&](const char* name, float value, bool in_vector, double loss, uint64_t stopped) {
    Problem problem(16, {{70, 33}, {33, 20}}, {5});
    (in_vector ? problem.vectors[0].gradient[2] : problem.layers[1].dy[40]) = value;
    problem.totals.stopped = stopped;
    problem.totals.loss = 7;
    // A step of another training that is made: what it leaves in scratch memory must not be taken for this
    // one's.
    const Problem other(16, {{70, 33}, {33, 20}}, {5});
    Placed(test.device, other).step(Precision::fp32, step_of(3, 1), 0.5);
    Placed got(test.device, problem), cpu(test.cpu, problem);
    const std::vector<float> x = got.x(), m = got.m(), v = got.v();
    // Twice: a step after the one that stopped changes nothing either.
    for (int i = 0; i < 2; ++i) {
      got.step(Precision::fp32, step_of(3, 1), loss);
      cpu.step(Precision::fp32, step_of(3, 1), loss);
    }
    const auto kind = [](double y) { return std::isnan(y) ? 1 : std::isinf(y) ? 2 : 0; };
    const StepTotals a = got.totals(), b = cpu.totals();
    test.row(name)
        .that("nothing changed", got.x() == x && got.m() == m && got.v() == v)
        .that("stopped", a.stopped == 1 && a.steps == 3 && a.loss_sum == 10)
        .that("as on the CPU", kind(a.loss) == kind(b.loss) && (kind(b.loss) != 0 || a.loss == b.loss) &&
                                   (kind(a.gradient_norm) != 0) == (kind(b.gradient_norm) != 0));
  };
  hold("NaN adjoint", NAN, false, 0.5, 0);
  hold("infinite adjoint", INFINITY, false, 0.5, 0);
  hold("NaN gradient", NAN, true, 0.5, 0);
  hold("NaN loss", 1, false, NAN, 0);
  hold("infinite loss", 1, false, INFINITY, 0);
  hold("stopped before", 1, false, 0.5, 1);
}

}  // namespace tr0n::selftest
