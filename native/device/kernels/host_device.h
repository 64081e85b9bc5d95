#pragma once

/// Before a function of a header that kernels of every device share.
#ifdef __CUDACC__
#define TR0N_HOST_DEVICE __host__ __device__
#else
#define TR0N_HOST_DEVICE
#endif
