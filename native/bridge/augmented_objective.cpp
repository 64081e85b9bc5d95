#include "bridge/augmented_objective.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/thread_pool.h"

namespace tr0n {

namespace {

/// Images of one buffer, in floats: 64 MiB.
constexpr size_t kBufferedFloats = size_t{1} << 24;

float* reserve(HostBlock& block, size_t elements) {
  const size_t bytes = elements * sizeof(float);
  if (block.bytes() < bytes || !block.data()) block = HostBlock(bytes);
  return block.floats();
}

std::unique_ptr<RowRunner> runner(std::shared_ptr<const BlockModel> model, const RowLimits& limits) {
  return model ? std::make_unique<RowRunner>(std::move(model), limits) : nullptr;
}

/// Of graphs that no model's export bounds, and that are not counted: their rows are small.
RowLimits own_limits(const RowLimits& generator, size_t max_batch, const char* part) {
  RowLimits limits = generator.part(part);
  limits.fixed_batch = 0;
  limits.max_batch = max_batch;
  limits.cost = {};
  return limits;
}

void check_size(const RowRunner& part, const char* what, size_t got, size_t expected) {
  if (got != expected)
    throw Error("ERR_SHAPE_MISMATCH", part.model().name() + ": expected " + what + " of " +
                                          std::to_string(expected) + " elements, got " + std::to_string(got));
}

}  // namespace

struct AugmentedObjective::Workspace {
  HostBlock images, image_gradients;                                 // [chains, image]
  HostBlock parameters, conditions, energies;                        // [rows, …]
  HostBlock copies, augmented, augmented_gradients, copy_gradients;  // [rows, image]
  std::vector<double> energy_sums;                                   // [chains]
};

class AugmentedObjective::Lease {
 public:
  explicit Lease(AugmentedObjective& owner) : owner_(owner) {
    const std::lock_guard<std::mutex> lock(owner.workspaces_mutex_);
    if (owner.workspaces_.empty()) {
      workspace_ = std::make_unique<Workspace>();
    } else {
      workspace_ = std::move(owner.workspaces_.back());
      owner.workspaces_.pop_back();
    }
  }
  ~Lease() {
    const std::lock_guard<std::mutex> lock(owner_.workspaces_mutex_);
    owner_.workspaces_.push_back(std::move(workspace_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Workspace& operator*() { return *workspace_; }

 private:
  AugmentedObjective& owner_;
  std::unique_ptr<Workspace> workspace_;
};

struct AugmentedObjective::Call {
  const float *z, *c;
  size_t n;
  const EnergyDraws& draws;
  float* energies;
  float* gradients;  ///< null where only energies are wanted
};

AugmentedObjective::AugmentedObjective(AugmentedParts parts, const AugmentationPolicy& policy,
                                       const RowLimits& generator_limits, size_t max_batch)
    : policy_(policy),
      generator_(runner(std::move(parts.generator), generator_limits.part("/generator"))),
      pullback_(runner(std::move(parts.pullback), generator_limits.part("/pullback"))),
      augment_(runner(std::move(parts.augment), own_limits(generator_limits, max_batch, "/augment"))),
      transpose_(runner(std::move(parts.transpose), own_limits(generator_limits, max_batch, "/transpose"))),
      objective_(std::move(parts.objective)) {
  image_size_ = augment_->model().inputs()[0].size;
  check_size(*augment_, "parameters", augment_->model().inputs()[1].size, kAugmentationParameters);
  check_size(*augment_, "images", image_size_, objective_->latent_size());
  if (pullback_) check_size(*pullback_, "cotangents", pullback_->model().inputs()[1].size, image_size_);
}

AugmentedObjective::~AugmentedObjective() = default;

void AugmentedObjective::energy(const float* z, const float* c, size_t n, const EnergyDraws& draws,
                                float* energies, CancelToken& cancel) {
  run({z, c, n, draws, energies, nullptr}, cancel);
}

void AugmentedObjective::evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws,
                                  float* energies, float* gradients, CancelToken& cancel) {
  if (!pullback_)
    throw Error("ERR_NO_GRADIENT", generator_->model().name() + ": this objective has no gradient");
  run({z, c, n, draws, energies, gradients}, cancel);
}

void AugmentedObjective::prepare(bool gradient, CancelToken& cancel) {
  generator_->prepare(cancel);
  check_size(*generator_, "images", generator_->output_size(0), image_size_);
  augment_->prepare(cancel);
  check_size(*augment_, "augmented images", augment_->output_size(0), image_size_);
  if (!gradient) return;
  pullback_->prepare(cancel);
  check_size(*pullback_, "gradients", pullback_->output_size(0), latent_size());
  transpose_->prepare(cancel);
  check_size(*transpose_, "gradients", transpose_->output_size(0), image_size_);
}

void AugmentedObjective::run(const Call& call, CancelToken& cancel) {
  if (call.n == 0) return;
  prepare(call.gradients != nullptr, cancel);
  Lease workspace(*this);
  const size_t threads = ThreadPool::instance().size();
  const size_t group = std::max(threads, kBufferedFloats / image_size_);
  for (size_t first = 0; first < call.n; first += group)
    evaluate_chains(call, first, std::min(group, call.n - first), *workspace, cancel);
}

/// Chains first … first + count − 1. Sums run over the copies in their order, however the rows are cut.
void AugmentedObjective::evaluate_chains(const Call& call, size_t first, size_t count, Workspace& workspace,
                                         CancelToken& cancel) {
  const float* z = call.z + first * latent_size();
  float* images = reserve(workspace.images, count * image_size_);
  generator_->run(&z, count, &images, cancel);
  workspace.energy_sums.assign(count, 0.0);
  float* gradients = nullptr;
  if (call.gradients != nullptr) {
    gradients = reserve(workspace.image_gradients, count * image_size_);
    std::fill_n(gradients, count * image_size_, 0.0f);
  }
  // Enough rows for every thread's largest block, where the images are not too large for that.
  const BlockRule rule =
      call.gradients != nullptr ? objective_->gradient_rule(cancel) : objective_->energy_rule(cancel);
  const size_t threads = ThreadPool::instance().size();
  const size_t slab = std::max(threads, std::min(4 * threads * rule.max_rows, kBufferedFloats / image_size_));
  const size_t rows = count * policy_.copies;
  for (size_t row = 0; row < rows; row += slab)
    evaluate_copies(call, first, row, std::min(slab, rows - row), workspace, cancel);

  const double share = 1 / static_cast<double>(policy_.copies);
  for (size_t i = 0; i < count; ++i)
    call.energies[first + i] = static_cast<float>(workspace.energy_sums[i] * share);
  if (gradients == nullptr) return;
  for (size_t i = 0; i < count * image_size_; ++i) gradients[i] *= static_cast<float>(share);
  const float* inputs[] = {z, gradients};
  float* out = call.gradients + first * latent_size();
  pullback_->run(inputs, count, &out, cancel);
}

/// Rows row … row + rows − 1 of the chains from first_chain on, A rows a chain: adds their energies and their
/// images' gradients to the chains' sums.
void AugmentedObjective::evaluate_copies(const Call& call, size_t first_chain, size_t row, size_t rows,
                                         Workspace& workspace, CancelToken& cancel) {
  const size_t copies = policy_.copies, m = condition_size(), image = image_size_;
  float* parameters = reserve(workspace.parameters, rows * kAugmentationParameters);
  float* conditions = reserve(workspace.conditions, rows * m);
  float* energies = reserve(workspace.energies, rows);
  float* originals = reserve(workspace.copies, rows * image);
  float* augmented = reserve(workspace.augmented, rows * image);
  const float* images = workspace.images.floats();
  const auto fill = [&](size_t i) {
    const size_t chain = (row + i) / copies, global = first_chain + chain;
    draw_augmentation(policy_, call.draws.rng, call.draws.chains[global], call.draws.step, (row + i) % copies,
                      parameters + i * kAugmentationParameters);
    std::copy_n(call.c + global * m, m, conditions + i * m);
    std::copy_n(images + chain * image, image, originals + i * image);
  };
  ThreadPool& pool = ThreadPool::instance();
  pool.parallel_for(rows, std::ref(fill));
  const float* to_augment[] = {originals, parameters};
  augment_->run(to_augment, rows, &augmented, cancel);

  float* copy_gradients = nullptr;
  if (call.gradients == nullptr) {
    objective_->energy(augmented, conditions, rows, call.draws, energies, cancel);
  } else {
    float* cotangents = reserve(workspace.augmented_gradients, rows * image);
    copy_gradients = reserve(workspace.copy_gradients, rows * image);
    objective_->evaluate(augmented, conditions, rows, call.draws, energies, cotangents, cancel);
    const float* to_transpose[] = {parameters, cotangents};
    transpose_->run(to_transpose, rows, &copy_gradients, cancel);
  }
  const size_t first = row / copies, last = (row + rows - 1) / copies;
  const auto add = [&](size_t k) {
    const size_t chain = first + k;
    const size_t begin = std::max(chain * copies, row), end = std::min((chain + 1) * copies, row + rows);
    float* sum = copy_gradients == nullptr ? nullptr : workspace.image_gradients.floats() + chain * image;
    for (size_t i = begin; i < end; ++i) {
      workspace.energy_sums[chain] += static_cast<double>(energies[i - row]);
      if (sum == nullptr) continue;
      const float* part = copy_gradients + (i - row) * image;
      for (size_t j = 0; j < image; ++j) sum[j] += part[j];
    }
  };
  pool.parallel_for(last - first + 1, std::ref(add));
}

}  // namespace tr0n
