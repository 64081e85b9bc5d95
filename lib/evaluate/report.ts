/** What an evaluation reports, and the report as a table. */
import { fixed, textTable } from "../base/text-table.js";

/** One line of the report, as plain data: means over classes where nothing else is said. */
export interface EvaluationRow {
  readonly recipe: string;
  /** Share of samples whose most probable class is the one asked for; for rejection of `samples` + `reference` samples. */
  readonly accuracy: number;
  /** Fréchet distance to the exact samples, in the encoder's features. */
  readonly fd: number;
  readonly fdOverFloor: number;
  /** Mean distance, in features, of two samples of a class. */
  readonly diversity: number;
  /** The diversity divided by that of the exact samples; below 1 means less diverse. */
  readonly relativeDiversity: number;
  /** Root mean square of all numbers of the latents; 1 for draws of N(0, I). */
  readonly latentRms: number;
  /** Evaluations of f∘G, and of its gradient, for one sample; for rejection those for one sample of one class. */
  readonly forwards: number;
  readonly gradients: number;
  /** Wall time for 1,000 samples with their images; for rejection without images, and for samples of one class. */
  readonly secondsPer1000: number;
  /** Mean effective sample size of the candidates and mean accept probability, where the sampler has them. */
  readonly ess: number | null;
  readonly acceptance: number | null;
  /** FD and accuracy of each class, in the order of the report's `classes`. */
  readonly perClass: readonly { readonly class: number; readonly accuracy: number; readonly fd: number }[];
}

/** The report of evaluate(), as plain data. */
export interface Evaluation {
  readonly classes: readonly number[];
  readonly samples: number;
  readonly reference: number;
  readonly seed: number;
  readonly features: { readonly value: string; readonly width: number };
  /** Draws of the prior that the exact samples took. */
  readonly draws: number;
  /** Mean over classes of the FD between two independent exact sets, of the sizes `samples` and `reference`. */
  readonly floor: number;
  /** Exact rejection first, then the recipes. */
  readonly rows: readonly EvaluationRow[];
}

/** The report as a table for people. */
export function formatEvaluation(report: Evaluation): string {
  const rows = report.rows.map((row) => [
    row.recipe,
    fixed(row.accuracy, 3),
    fixed(row.fd, 1),
    fixed(row.fdOverFloor, 2),
    fixed(row.relativeDiversity, 2),
    fixed(row.latentRms, 2),
    fixed(row.forwards, 1),
    fixed(row.gradients, 1),
    fixed(row.ess, 1),
    fixed(row.acceptance, 2),
    fixed(row.secondsPer1000, 2),
  ]);
  const header = [
    "recipe",
    "accuracy",
    "FD",
    "FD/floor",
    "diversity",
    "rms z",
    "f∘G",
    "∇(f∘G)",
    "ESS",
    "accept",
    "s/1000",
  ];
  return [
    textTable(header, rows),
    "",
    `${report.classes.length} class${report.classes.length === 1 ? "" : "es"}, ${report.samples} samples a class against ${report.reference} exact ones, in ${report.features.width} features.`,
    "accuracy: the encoder's guess is the class asked for. FD: Fréchet distance to exact samples; its floor is that of",
    "another exact set. diversity: distance of two samples of a class, exact = 1. rms z: 1 for the prior N(0, I).",
    "f∘G, ∇(f∘G): evaluations a sample.",
  ].join("\n");
}
