// What a compiler makes of usual code, for compiled_test.cpp: reductions, transcendental functions, local
// memory, calls, switches, atomics, asynchronous copies.
#include <cuda_pipeline.h>

#include <cstdint>

extern "C" __global__ void axpy(int n, float a, const float* __restrict__ x, float* y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = a * x[i] + y[i];
}

extern "C" __global__ void sum(const float* x, double* out, int n) {
  __shared__ double parts[32];
  double v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) v += x[i];
  for (int o = 16; o > 0; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
  if ((threadIdx.x & 31) == 0) parts[threadIdx.x >> 5] = v;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  v = threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0;
  for (int o = 16; o > 0; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
  if (threadIdx.x == 0) atomicAdd(out, v);
}

extern "C" __global__ void functions(int n, const float* x, float* y, const double* u, double* v) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float a = x[i];
  float* f = y + 12 * i;
  f[0] = expf(a), f[1] = logf(a), f[2] = tanhf(a), f[3] = sinf(a), f[4] = cosf(a), f[5] = sqrtf(a),
  f[6] = rsqrtf(a);
  f[7] = 1 / a, f[8] = powf(a, 1.5f), f[9] = log1pf(a), f[10] = erff(a), f[11] = fmodf(a, 0.7f);
  const double b = u[i];
  double* g = v + 10 * i;
  g[0] = exp(b), g[1] = log(b), g[2] = sin(b), g[3] = tanh(b), g[4] = cospi(b), g[5] = sqrt(b), g[6] = 1 / b;
  g[7] = pow(b, 2.5), g[8] = log1p(b), g[9] = lgamma(b);
}

__device__ __noinline__ float walk(float x, int n) {
  float r = 0;
  for (int i = 0; i < n; ++i) r += x * i;
  return r;
}

struct Arguments {
  const float* data;
  int counts[8];
};

extern "C" __global__ void pieces(Arguments arguments, float* y) {
  const int i = threadIdx.x;
  float local[8];
  for (int j = 0; j < 8; ++j) local[j] = arguments.data[j] * i;
  float v = walk(arguments.data[i & 3], arguments.counts[i & 7]) + local[i & 7];
  switch (i % 7) {
    case 0:
      v += 100;
      break;
    case 1:
      v *= 2;
      break;
    case 2:
      v = -v;
      break;
    case 3:
      v -= 7;
      break;
    case 4:
      v = v * v;
      break;
    case 5:
      v = 3;
      break;
  }
  y[i] = v;
}

// C [m, n] = A [m, k] · B [k, n] by tiles of 64 × 64 × 16, double-buffered.
extern "C" __global__ void __launch_bounds__(256)
    product(int n, int k, const float* A, const float* B, float* C) {
  __shared__ __align__(16) float a[2][16][68];
  __shared__ __align__(16) float b[2][16][64];
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16, row = blockIdx.y * 64, column = blockIdx.x * 64;
  float sum[4][4] = {};
  const auto load = [&](int buffer, int at) {
    const int r = threadIdx.x / 4, c = threadIdx.x % 4 * 4;
    const float4 v = *reinterpret_cast<const float4*>(&A[(row + r) * k + at + c]);
    a[buffer][c][r] = v.x, a[buffer][c + 1][r] = v.y, a[buffer][c + 2][r] = v.z, a[buffer][c + 3][r] = v.w;
    __pipeline_memcpy_async(&b[buffer][threadIdx.x / 16][tx * 4],
                            &B[(at + threadIdx.x / 16) * n + column + tx * 4], 16);
    __pipeline_commit();
  };
  load(0, 0);
  for (int at = 0, buffer = 0; at < k; at += 16, buffer ^= 1) {
    __pipeline_wait_prior(0);
    __syncthreads();
    if (at + 16 < k) load(buffer ^ 1, at + 16);
    for (int l = 0; l < 16; ++l) {
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) sum[i][j] += a[buffer][l][ty * 4 + i] * b[buffer][l][tx * 4 + j];
      }
    }
  }
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) C[(row + ty * 4 + i) * n + column + tx * 4 + j] = sum[i][j];
  }
}

// The last block to arrive adds up what all blocks wrote.
__device__ unsigned arrived;
extern "C" __global__ void last_block(float* parts, float* out) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = blockIdx.x + 1;
    __threadfence();
    last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last || threadIdx.x != 0) return;
  float s = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) s += static_cast<volatile float*>(parts)[i];
  *out = s;
}
