#pragma once
#include <cstddef>
#include <vector>

#include "base/cancel.h"

namespace tr0n {

/// What the Fréchet distance of the Gaussians fitted to two sets of rows needs of one of them. All in double.
struct FeatureStatistics {
  size_t n, d;
  const double* mean;     ///< [d]
  const double* centred;  ///< [n, d], the rows less their mean
  double trace;           ///< tr Σ, Σ unbiased (n − 1)
};

/// Of rows [n, d] of float or double, n ≥ 2. Returns the first column whose mean is not finite; d where all
/// are.
template <class T>
size_t feature_statistics(const T* rows, size_t n, size_t d, double* mean, double* centred, double& trace,
                          CancelToken& cancel);

/// Σ [d, d].
std::vector<double> feature_covariance(const FeatureStatistics& set, CancelToken& cancel);

/// ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2·tr (Σ_aΣ_b)^½, never below 0. `root` [d, d] is Σ_b^½ where it is known:
/// it is made where it is needed and empty.
///
/// With Σ_b = LLᵀ the eigenvalues of Σ_aΣ_b are those of the symmetric LᵀΣ_aL, for any such L. Where features
/// are few, L = Σ_b^½; where rows are fewer, L = X_bᵀ/√(n_b − 1), and the matrix is the Gram form
/// X_bΣ_aX_bᵀ/(n_b − 1): the eigenproblem has the smallest of the three sizes.
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b, std::vector<double>& root,
                        CancelToken& cancel);

/// Mean Euclidean distance over all pairs of different rows [n, d] of float or double, n ≥ 2.
template <class T>
double mean_pairwise_distance(const T* rows, size_t n, size_t d, CancelToken& cancel);

}  // namespace tr0n
