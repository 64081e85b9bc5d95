// The least that a sampling step costs with libtorch: forward through generator, classifier and cross-entropy, and
// backward to the latents, as one writes it by hand. Prints the median milliseconds of a step.
// Arguments: generator, classifier, latent size, rows of a call, calls a step, steps, threads, and 1 to let the JIT
// specialise graphs for what it sees, 0 to interpret them as they are.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int count, char** arguments) {
  if (count != 9) return 2;
  torch::jit::Module generator = torch::jit::load(arguments[1]);
  torch::jit::Module classifier = torch::jit::load(arguments[2]);
  generator.eval();
  classifier.eval();
  const int64_t latent = std::atoll(arguments[3]), rows = std::atoll(arguments[4]);
  const int calls = std::atoi(arguments[5]), steps = std::atoi(arguments[6]);
  at::set_num_threads(std::atoi(arguments[7]));
  const torch::jit::GraphOptimizerEnabledGuard optimise(std::atoi(arguments[8]) != 0);

  torch::manual_seed(1);
  const at::Tensor condition = torch::zeros({rows, 10});
  condition.select(1, 3).fill_(1);
  const at::Tensor ones = torch::ones({rows});
  std::vector<at::Tensor> latents;
  for (int i = 0; i < calls; ++i) latents.push_back(torch::randn({rows, latent}).set_requires_grad(true));
  const auto step = [&] {
    double sum = 0;
    for (const at::Tensor& z : latents) {
      const at::Tensor logits = classifier.forward({generator.forward({z})}).toTensor();
      const at::Tensor energy = -(condition * torch::log_softmax(logits, 1)).sum(1);
      const at::Tensor gradient = torch::autograd::grad({energy}, {z}, {ones})[0];
      sum += gradient.data_ptr<float>()[0];
    }
    return sum;
  };

  double sum = 0;
  for (int i = 0; i < 5; ++i) sum += step();  // the first runs are profiled
  std::vector<double> times;
  for (int i = 0; i < steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    sum += step();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  std::fprintf(stderr, "%g\n", sum);
  std::printf("%.4f\n", times[times.size() / 2]);
}
