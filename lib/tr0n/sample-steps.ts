/** A sampling run seen step by step. */
import { check } from "../options/check.js";
import type { Condition } from "../condition/condition.js";
import { rememberRules } from "../model/block-rules.js";
import type { NativeSampleProgress, NativeSampleResult } from "../native/types/sampling.js";
import { stepsOptions, type SampleOptions } from "./options.js";
import type { SampleStep, Samples } from "./samples.js";
import { chains, checkRun, finish, planned } from "./sampling-run.js";
import type { State } from "./state.js";

/** See Tr0n.sampleSteps. The arguments belong to this call. */
export async function* sampleSteps(
  state: State,
  condition: Condition,
  options: (SampleOptions & { every?: number }) | undefined,
): AsyncGenerator<SampleStep, Samples, undefined> {
  state.lifetime.check();
  const o = check(stepsOptions, options, { name: "options" });
  const { every = 0 } = o;
  const run = checkRun(state, o);
  const { allSteps: steps, seed } = run;
  const stop = new AbortController();
  const scope = state.lifetime.open("sampleSteps", run.signal);
  const forward = (): void => stop.abort(scope.signal.reason);
  scope.signal.addEventListener("abort", forward, { once: true });
  const queue: NativeSampleProgress[] = [];
  let wake = (): void => undefined;
  let ended: { result: NativeSampleResult } | { error: unknown } | undefined;
  const onProgress = (progress: NativeSampleProgress): void => {
    const wanted = every > 0 && progress.step % every === 0;
    queue.push(wanted ? progress : { ...progress, latents: undefined });
    o.onProgress?.({ step: progress.step, steps: progress.steps, energies: progress.energies });
    wake();
  };
  try {
    const plan = planned(state, run, await state.read("condition", condition, scope.signal));
    const running = chains(state, plan, stop.signal, onProgress, every > 0).then(
      (result) => (ended = { result }),
      (error: unknown) => (ended = { error }),
    );
    void running.then(() => {
      scope.settle(); // an iteration that nobody goes on with must not keep `await using` waiting
      wake();
    });
    for (;;) {
      const next = queue.shift();
      if (next) {
        if (next.step >= steps) continue; // the last step comes from the result
        const latents = next.latents && state.latentTensor(next.latents);
        const images = latents && (await state.imagesOf(next.latents!, stop.signal));
        yield {
          step: next.step,
          steps,
          energies: next.energies,
          seed,
          ...(latents ? { latents, images } : {}),
        };
      } else if (ended) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    if ("error" in ended) throw ended.error;
    const { result } = ended;
    const samples = await finish(state, plan, result, stop.signal);
    await rememberRules();
    yield {
      step: steps,
      steps,
      energies: samples.energies,
      latents: samples.latents,
      images: samples.images,
      seed,
    };
    return samples;
  } finally {
    scope.signal.removeEventListener("abort", forward);
    stop.abort();
    scope.close();
  }
}
