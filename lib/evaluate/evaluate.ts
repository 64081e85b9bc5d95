/**
 * How well samples obey their class, measured against exact ones.
 *
 * Ground truth are exact samples of p(z|c) ∝ p(z)·p(c|G(z)) (exact.ts). For each class `samples` of a recipe are
 * compared with `reference` exact ones by the Fréchet distance in f's penultimate features (frechet.ts); per-class
 * distances are averaged. The floor is the same figure for an independent exact set of the recipe's size, so that a
 * perfect recipe has FD near the floor and not near 0. With 300 against 500 the floor's own spread is about a tenth.
 */
import { check } from "../options/check.js";
import { drawClasses, drawExact } from "./exact.js";
import { insideLatents } from "../latent/outside.js";
import { FeatureSpace } from "./feature-space.js";
import type { Samples } from "../tr0n/samples.js";
import type { Tr0n } from "../tr0n/tr0n.js";
import { compare, finiteMean, mean, splitExact, type SampleSet, type Truth } from "./metrics.js";
import { checkClasses, checkRecipes, evaluateOptions, type EvaluateOptions, type Recipe } from "./options.js";
import type { Evaluation, EvaluationRow } from "./report.js";

/**
 * Draws exact samples and those of every recipe, and compares them. Everything long runs on tr0n's own
 * threads, a class at a time.
 *
 * @throws ArgumentError for classes the encoder does not have, one that the prior hardly ever makes, or an encoder that
 *   is no classifier; ModelError when the encoder has no linear layer to take features from; AbortError
 */
export async function evaluate(tr0n: Tr0n, options?: EvaluateOptions): Promise<Evaluation> {
  const o = check(evaluateOptions, options, { name: "options" });
  const { samples, reference, seed } = o;
  const recipes = await checkRecipes(o.recipes ?? [{ name: "default" }], tr0n);
  const space = await FeatureSpace.open(tr0n.objective, o.features, o.signal);
  try {
    const classes = checkClasses(o.classes, space.classes);
    const maxDraws = o.maxDraws ?? 100 * classes.length * (samples + reference);
    const started = performance.now();
    const exact = await drawExact((first, n) => space.draw(seed, first, n, o.signal), {
      classes,
      count: samples + reference,
      maxDraws,
      seed,
      signal: o.signal,
      onProgress: (done, total) => o.onProgress?.({ phase: "exact", done, total }),
    });
    const secondsPerDraw = (performance.now() - started) / 1000 / exact.draws;
    const truth = await splitExact(exact.sets, samples, space.width, o.signal);

    const drawsPerSample = mean(exact.sets.map((set) => set.drawsPerSample));
    const rows: EvaluationRow[] = [];
    const quality = await compare(
      "exact (rejection)",
      truth.map((t) => t.independent),
      truth,
      classes,
      space.width,
      o.signal,
    );
    // The yardstick's accuracy comes from every exact sample there is, so that its own spread counts for less.
    const accuracies = exact.sets.map((set) => mean([...set.hits]));
    rows.push({
      ...quality,
      accuracy: mean(accuracies),
      perClass: quality.perClass.map((p, i) => ({ ...p, accuracy: accuracies[i]! })),
      forwards: drawsPerSample,
      gradients: 0,
      secondsPer1000: 1000 * drawsPerSample * secondsPerDraw,
      ess: null,
      acceptance: null,
    });
    for (const recipe of recipes)
      rows.push(await evaluateRecipe(recipe, { tr0n, space, classes, samples, seed, truth, options: o }));
    return {
      classes,
      samples,
      reference,
      seed,
      features: { value: space.feature, width: space.width },
      draws: exact.draws,
      floor: rows[0]!.fd,
      rows,
    };
  } finally {
    space.dispose();
  }
}

async function evaluateRecipe(
  recipe: Recipe,
  context: {
    tr0n: Tr0n;
    space: FeatureSpace;
    classes: readonly number[];
    samples: number;
    seed: number;
    truth: readonly Truth[];
    options: EvaluateOptions;
  },
): Promise<EvaluationRow> {
  const { space, classes, samples, seed, truth, options } = context;
  const tr0n = recipe.tr0n ?? context.tr0n;
  const draw = (c: number, count: number): Promise<Samples> => {
    const own = { count, seed: (seed + c) % Number.MAX_SAFE_INTEGER, signal: options.signal };
    return tr0n.sample({ class: c }, { ...own, sampler: recipe.sampler });
  };
  await draw(classes[0]!, 1); // what the first call prepares is no cost of sampling
  const sets: SampleSet[] = [];
  const cost = { forwards: 0, gradients: 0, seconds: 0, ess: [] as number[], acceptance: [] as number[] };
  for (const [index, c] of classes.entries()) {
    options.onProgress?.({ phase: recipe.name, done: index, total: classes.length });
    const started = performance.now();
    // A class at a time: the images of all of them may not fit, and this thread gets a turn in between.
    const drawn = await draw(c, samples);
    cost.seconds += (performance.now() - started) / 1000;
    cost.forwards += drawn.evaluations.forwards;
    cost.gradients += drawn.evaluations.gradients;
    cost.ess.push(...drawn.ess);
    cost.acceptance.push(...drawn.acceptance);
    const latents = insideLatents("latents", tr0n.objective.latent, drawn.latents.data);
    const mapped = await space.map(latents, samples, options.signal);
    const { likeliest } = await drawClasses(mapped, samples, 0, 0, options.signal);
    const hits = likeliest.reduce((sum, guess) => sum + (guess === c ? 1 : 0), 0);
    sets.push({ features: mapped.features, latents, hits });
  }
  options.onProgress?.({ phase: recipe.name, done: classes.length, total: classes.length });
  const total = classes.length * samples;
  return {
    ...(await compare(recipe.name, sets, truth, classes, space.width, options.signal)),
    forwards: cost.forwards / total,
    gradients: cost.gradients / total,
    secondsPer1000: (1000 * cost.seconds) / total,
    ess: finiteMean(cost.ess),
    acceptance: finiteMean(cost.acceptance),
  };
}
