/** Models give within a pipeline what they give by themselves. */
import { Tr0nError } from "../base/errors.js";
import { runJob } from "../native/job.js";
import { floats } from "./values.js";
import type { NativeObjective, NativeSegment } from "../native/types/pipeline.js";
import type { NativeSession } from "../native/types/models.js";
import { checkSame, type Comparison, type Probe } from "./output-guard.js";
import { checkSession } from "./pipeline-guard.js";
import type { Tensor } from "../base/tensor.js";
import type { GraphLink } from "./pipeline-links.js";

export interface Segments {
  readonly segments: NativeSegment[];
  /** The probe, and what the links make of it one by one. */
  readonly rows: Tensor;
  readonly result: Tensor;
  /** Which row of the probe each row of the result was made of. */
  readonly which: readonly number[];
  /** The last TorchScript model, and what comes out behind it; null without one. */
  readonly last: (Comparison & { readonly result: Tensor }) | null;
}

export function checkLink(
  { graph, within, simplify, inputShape }: GraphLink,
  session: NativeSession,
  rows: Tensor,
  beside: Record<string, Tensor>,
  { runs }: Probe,
  where: string,
): Promise<void> {
  const input = graph.inputs[0]!.name;
  const shaped = { data: rows.data, shape: [rows.shape[0]!, ...inputShape] };
  return checkSession(
    session,
    { input, within, simplified: simplify },
    { [input]: shaped, ...beside },
    runs,
    where,
  );
}

/** Energies of the whole chain are those of its links one by one: models of libtorch have a run of their own there. */
export async function checkEnergies(
  objective: NativeObjective,
  gradient: boolean,
  head: GraphLink,
  energy: NativeSession,
  rows: Tensor,
  result: Tensor,
  condition: Tensor,
  last: Comparison,
): Promise<void> {
  const [input, conditionInput] = head.graph.inputs.map((value) => value.name) as [string, string];
  const { output } = head;
  const n = rows.shape[0]!;
  const feeds = {
    [input]: { data: result.data, shape: [n, ...head.inputShape] },
    [conditionInput]: condition,
  };
  const what = "checking models";
  const expected = floats(await runJob(what, undefined, () => energy.run(feeds, [output])))[output]!;
  let data: Float32Array | null = null;
  try {
    if (gradient)
      data = (await runJob(what, undefined, () => objective.evaluate(rows.data, condition.data, n))).energies;
  } catch (error) {
    // Whoever needs the gradient hears of it; energies are there without.
    if (!(error instanceof Tr0nError && error.code === "ERR_NO_GRADIENT")) throw error;
  }
  data ??= await runJob(what, undefined, () => objective.energy(rows.data, condition.data, n));
  await checkSame({ data, shape: expected.shape }, expected, last);
}
