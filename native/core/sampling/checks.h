#pragma once
#include "core/sampling/sampler.h"

namespace tr0n {

/// Throws where a request makes no sense or cannot fit into memory, before anything is allocated.
void check_request(const Objective& objective, const Translator* translator, const Prior& prior,
                   const SamplerConfig& config, const SampleRequest& request);

}  // namespace tr0n
