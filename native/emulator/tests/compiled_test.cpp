#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "emulator/tests/device.h"

// Kernels compiled by nvcc, for both baselines.
namespace tr0n::emulator::test {
namespace {

std::string compiled(int target) {
  const std::string file = "compiled_" + std::to_string(target) + ".ptx";
  const std::string command = "nvcc -std=c++17 -O3 -ptx -arch=compute_" + std::to_string(target) + " -o " +
                              file + " " TR0N_EMULATOR_TESTS "/compiled.cu";
  if (std::system(command.c_str()) != 0) {
    fail(__FILE__, __LINE__, command);
    return "";
  }
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

void functions(Device& device, CUmodule module) {
  std::vector<float> x;
  std::vector<double> u;
  for (int i = 1; i <= 300; ++i) {
    x.push_back(0.0137f * static_cast<float>(i) * (i % 3 == 0 ? 20.0f : 1.0f));
    u.push_back(0.0137 * i * (i % 4 == 0 ? 9 : 1));
  }
  const auto n = static_cast<int>(x.size());
  const CUdeviceptr px = device.upload(x), pu = device.upload(u), py = device.allocate(12 * 4 * 300),
                    pv = device.allocate(10 * 8 * 300);
  CHECK_SAYING(device.run(module, "functions", {5, 64, 0}, n, px, py, pu, pv) == CUDA_SUCCESS, report());
  const auto y = device.download<float>(py, 12 * 300);
  const auto v = device.download<double>(pv, 10 * 300);
  for (size_t i = 0; i < 300; ++i) {
    const double a = static_cast<double>(x[i]), b = u[i];
    const double f[] = {std::exp(a),      std::log(a), std::tanh(a),
                        std::sin(a),      std::cos(a), std::sqrt(a),
                        1 / std::sqrt(a), 1 / a,       std::pow(a, 1.5),
                        std::log1p(a),    std::erf(a), std::fmod(a, static_cast<double>(0.7f))};
    const double g[] = {
        std::exp(b),  std::log(b), std::sin(b),      std::tanh(b),  std::cos(M_PI * std::fmod(b, 2.0)),
        std::sqrt(b), 1 / b,       std::pow(b, 2.5), std::log1p(b), std::lgamma(b)};
    // A few units in the last place of each type, as the CUDA documentation promises for these functions.
    for (size_t k = 0; k < 12; ++k)
      CHECK_SAYING(std::fabs(static_cast<double>(y[12 * i + k]) - f[k]) <= 1e-6 * (std::fabs(f[k]) + 0.01),
                   "single " + std::to_string(k) + " of " + std::to_string(a));
    for (size_t k = 0; k < 10; ++k)
      CHECK_SAYING(std::fabs(v[10 * i + k] - g[k]) <= 1e-14 * (std::fabs(g[k]) + 0.1),
                   "double " + std::to_string(k) + " of " + std::to_string(b));
  }
}

void pieces(Device& device, CUmodule module) {
  const std::vector<float> data = {0.5f, 1, 2, 3, -1, 4, 0.25f, 8};
  struct {
    CUdeviceptr data;
    int counts[8];
  } arguments = {device.upload(data), {3, 1, 4, 1, 5, 9, 2, 6}};
  const CUdeviceptr y = device.allocate(32 * 4);
  CHECK_SAYING(device.run(module, "pieces", {}, arguments, y) == CUDA_SUCCESS, report());
  const auto got = device.download<float>(y, 32);
  for (int i = 0; i < 32; ++i) {
    float v = 0;
    for (int j = 0; j < arguments.counts[i & 7]; ++j)
      v += data[static_cast<size_t>(i & 3)] * static_cast<float>(j);
    v += data[static_cast<size_t>(i & 7)] * static_cast<float>(i);
    const float expected[] = {v + 100, v * 2, -v, v - 7, v * v, 3, v};
    CHECK(got[static_cast<size_t>(i)] == expected[i % 7]);
  }
}

void product(Device& device, CUmodule module) {
  constexpr int m = 128, n = 192, k = 80;
  std::vector<float> a(m * k), b(k * n);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(static_cast<int>(i * 7 % 13) - 6);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(static_cast<int>(i * 5 % 11) - 5);
  const CUdeviceptr pa = device.upload(a), pb = device.upload(b);
  CUdeviceptr pc = device.allocate(m * n * 4);
  CUfunction function = nullptr;
  CHECK(cuModuleGetFunction(&function, module, "product") == CUDA_SUCCESS);
  int columns = n, inner = k;
  CUdeviceptr pa_ = pa, pb_ = pb;
  void* parameters[] = {&columns, &inner, &pa_, &pb_, &pc};
  CHECK(cuLaunchKernel(function, n / 64, m / 64, 1, 256, 1, 1, 0, nullptr, parameters, nullptr) ==
        CUDA_SUCCESS);
  CHECK_SAYING(cuCtxSynchronize() == CUDA_SUCCESS, report());
  const auto c = device.download<float>(pc, m * n);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      int sum = 0;
      for (int l = 0; l < k; ++l)
        sum += static_cast<int>(a[static_cast<size_t>(i * k + l)]) *
               static_cast<int>(b[static_cast<size_t>(l * n + j)]);
      CHECK(c[static_cast<size_t>(i * n + j)] == static_cast<float>(sum));
    }
  }
}

}  // namespace

TEST(compiled_kernels) {
  if (std::system("nvcc --version > nvcc-version.txt 2>&1") != 0) {
    std::printf(
        "skipped: kernels compiled by nvcc, which is missing (CUDA toolkit: "
        "https://developer.nvidia.com/cuda-downloads)\n");
    return;
  }
  for (const int target : {75, 80}) {
    const std::string text = compiled(target);
    Device device;
    const CUmodule module = device.load(text);
    if (module == nullptr) continue;
    int n = 1000;
    float factor = 2;
    std::vector<float> x(1000), y(1000);
    for (size_t i = 0; i < 1000; ++i) x[i] = 0.5f * static_cast<float>(i), y[i] = static_cast<float>(i) - 3;
    const CUdeviceptr px = device.upload(x), py = device.upload(y),
                      total = device.upload(std::vector<double>{0});
    CHECK(device.run(module, "axpy", {8, 128, 0}, n, factor, px, py) == CUDA_SUCCESS);
    const auto got = device.download<float>(py, 1000);
    for (size_t i = 0; i < 1000; ++i) CHECK(got[i] == 2 * x[i] + y[i]);
    CHECK_SAYING(device.run(module, "sum", {1, 256, 0}, px, total, n) == CUDA_SUCCESS, report());
    CHECK(device.download<double>(total, 1)[0] == 249750);
    functions(device, module);
    pieces(device, module);
    product(device, module);
    const CUdeviceptr parts = device.allocate(8 * 4), out = device.allocate(4);
    CHECK_SAYING(device.run(module, "last_block", {8, 128, 0}, parts, out) == CUDA_SUCCESS, report());
    CHECK(device.download<float>(out, 1)[0] == 36);
  }
}

}  // namespace tr0n::emulator::test
