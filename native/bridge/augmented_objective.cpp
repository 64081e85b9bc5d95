#include "bridge/augmented_objective.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/thread_pool.h"
#include "bridge/placed_buffer.h"
#include "bridge/placed_copy.h"
#include "device/device.h"

namespace tr0n {

namespace {

/// Images of one buffer, in floats: 64 MiB.
constexpr size_t kBufferedFloats = size_t{1} << 24;

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
  PlacedBuffer images, image_gradients;                                 // [chains, image]
  PlacedBuffer parameters, conditions, energies;                        // [rows, …]
  PlacedBuffer copies, augmented, augmented_gradients, copy_gradients;  // [rows, image]
  PlacedBuffer energy_sums;                                             // [chains], two floats' room each
  PlacedBuffer zeros;                                                   // [image]
  bool has_zeros = false;
  std::vector<float> drawn;  // parameters on their way
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

namespace {

Place common_place(const AugmentedParts& parts) {
  Place place = parts.generator->place();
  if (parts.objective->device() != place.device) return {};
  for (const BlockModel* part : {parts.pullback.get(), parts.augment.get(), parts.transpose.get()})
    if (part != nullptr && part->place() != place) return {};
  return place;
}

Device& device_of(const Place& place) { return place.is_host() ? cpu_device() : *place.device; }

}  // namespace

AugmentedObjective::AugmentedObjective(AugmentedParts parts, const AugmentationPolicy& policy,
                                       const RowLimits& generator_limits, size_t max_batch)
    : policy_(policy),
      memory_(common_place(parts)),
      compute_(device_of(memory_)),
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

/// Zeros for rows × width floats.
void AugmentedObjective::clear(float* to, size_t rows, size_t width, Workspace& workspace) const {
  if (memory_.is_host()) {
    std::memset(to, 0, rows * width * sizeof(float));
    return;
  }
  float* const zeros = workspace.zeros.reserve(memory_, std::max(image_size_, size_t{2}));
  if (!workspace.has_zeros) {
    const std::vector<float> none(std::max(image_size_, size_t{2}), 0.0f);
    copy_floats(zeros, memory_, none.data(), {}, none.size());
    workspace.has_zeros = true;
  }
  CopyRows fill;
  fill.n = rows;
  fill.width = fill.to_stride = width;
  fill.from = zeros;
  fill.repeats = rows;
  fill.to = to;
  compute_.kernels().rows->copy(fill);
}

/// Rows row … row + rows − 1 of `from` with every row `copies` times.
void AugmentedObjective::spread(const float* from, size_t width, size_t row, size_t rows, float* to) const {
  CopyRows copy;
  copy.n = rows;
  copy.width = copy.from_stride = copy.to_stride = width;
  copy.from = from;
  copy.first = row;
  copy.repeats = policy_.copies;
  copy.to = to;
  compute_.kernels().rows->copy(copy);
}

/// Chains first … first + count − 1. Sums run over the copies in their order, however the rows are cut.
void AugmentedObjective::evaluate_chains(const Call& call, size_t first, size_t count, Workspace& workspace,
                                         CancelToken& cancel) {
  const RowKernels& kernels = *compute_.kernels().rows;
  const float* z = call.z + first * latent_size();
  float* images = workspace.images.reserve(memory_, count * image_size_);
  generator_->run(&z, count, &images, cancel, memory_);
  float* const sums = workspace.energy_sums.reserve(memory_, 2 * count);
  clear(sums, count, 2, workspace);
  float* gradients = nullptr;
  if (call.gradients != nullptr) {
    gradients = workspace.image_gradients.reserve(memory_, count * image_size_);
    clear(gradients, count, image_size_, workspace);
  }
  // Enough rows for every thread's largest block, where the images are not too large for that.
  const BlockRule rule =
      call.gradients != nullptr ? objective_->gradient_rule(cancel) : objective_->energy_rule(cancel);
  const size_t threads = ThreadPool::instance().size();
  const size_t slab = std::max(threads, std::min(4 * threads * rule.max_rows, kBufferedFloats / image_size_));
  const size_t rows = count * policy_.copies;
  for (size_t row = 0; row < rows; row += slab)
    evaluate_copies(call, first, row, std::min(slab, rows - row), workspace, cancel);

  Scale mean;
  mean.count = count;
  mean.factor = 1 / static_cast<double>(policy_.copies);
  mean.wide_from = reinterpret_cast<const double*>(sums);
  mean.to = call.energies + first;
  kernels.scale(mean);
  if (gradients == nullptr) return;
  mean.count = count * image_size_;
  mean.wide_from = nullptr;
  mean.from = mean.to = gradients;
  kernels.scale(mean);
  const float* inputs[] = {z, gradients};
  float* out = call.gradients + first * latent_size();
  pullback_->run(inputs, count, &out, cancel, memory_);
}

/// Rows row … row + rows − 1 of the chains from first_chain on, A rows a chain: adds their energies and their
/// images' gradients to the chains' sums.
void AugmentedObjective::evaluate_copies(const Call& call, size_t first_chain, size_t row, size_t rows,
                                         Workspace& workspace, CancelToken& cancel) {
  const size_t copies = policy_.copies, m = condition_size(), image = image_size_;
  float* parameters = workspace.parameters.reserve(memory_, rows * kAugmentationParameters);
  float* conditions = workspace.conditions.reserve(memory_, rows * m);
  float* energies = workspace.energies.reserve(memory_, rows);
  float* originals = workspace.copies.reserve(memory_, rows * image);
  float* augmented = workspace.augmented.reserve(memory_, rows * image);
  // Drawn by the host: a few numbers a copy.
  float* drawn = parameters;
  if (!memory_.is_host()) {
    workspace.drawn.resize(rows * kAugmentationParameters);
    drawn = workspace.drawn.data();
  }
  const auto draw = [&](size_t i) {
    const size_t chain = first_chain + (row + i) / copies;
    draw_augmentation(policy_, call.draws.rng, call.draws.chains[chain], call.draws.step, (row + i) % copies,
                      drawn + i * kAugmentationParameters);
  };
  ThreadPool::instance().parallel_for(rows, std::ref(draw));
  if (drawn != parameters) copy_floats(parameters, memory_, drawn, {}, rows * kAugmentationParameters);
  spread(call.c + first_chain * m, m, row, rows, conditions);
  spread(workspace.images.data(memory_), image, row, rows, originals);
  const float* to_augment[] = {originals, parameters};
  augment_->run(to_augment, rows, &augmented, cancel, memory_);

  AddGroups sum;
  sum.n = rows;
  sum.width = 1;
  sum.first = row;
  sum.repeats = copies;
  sum.from = energies;
  sum.wide_sums = reinterpret_cast<double*>(workspace.energy_sums.data(memory_)) + row / copies;
  if (call.gradients == nullptr) {
    objective_->energy(augmented, conditions, rows, call.draws, energies, cancel);
    compute_.kernels().rows->add_groups(sum);
    return;
  }
  float* cotangents = workspace.augmented_gradients.reserve(memory_, rows * image);
  float* copy_gradients = workspace.copy_gradients.reserve(memory_, rows * image);
  objective_->evaluate(augmented, conditions, rows, call.draws, energies, cotangents, cancel);
  const float* to_transpose[] = {parameters, cotangents};
  transpose_->run(to_transpose, rows, &copy_gradients, cancel, memory_);
  compute_.kernels().rows->add_groups(sum);
  sum.width = image;
  sum.from = copy_gradients;
  sum.wide_sums = nullptr;
  sum.sums = workspace.image_gradients.data(memory_) + row / copies * image;
  compute_.kernels().rows->add_groups(sum);
}

}  // namespace tr0n
