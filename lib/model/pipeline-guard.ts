/** Models within a pipeline: what they give there is compared with what they give by themselves. */
import { Tr0nError } from "../base/errors.js";
import { runJob } from "../native/job.js";
import { floats } from "./values.js";
import type { LoadedModel } from "./model.js";
import type { NativeSession } from "../native/types/models.js";
import { checkSame, nudged, type ReferenceRuns } from "./output-guard.js";
import type { Tensor } from "../base/tensor.js";

/** A model that is part of a graph. */
export interface ModelWithin {
  readonly model: LoadedModel;
  /** The output of the model, and the value of the graph that it has become. */
  readonly output: string;
  readonly value: string;
  /** The value of the graph that the model takes; null: what the graph takes. */
  readonly from: string | null;
  /** The model's inputs, made of that value; null: it is its only input. */
  readonly inputs: ((value: Tensor) => Record<string, Tensor>) | null;
  readonly coarse: boolean;
}

/** A graph with models in it, as a session runs it. */
interface GuardedGraph {
  readonly input: string;
  readonly within: readonly ModelWithin[];
  readonly simplified: boolean;
}

/** The values that must stay outputs of a graph for {@link checkSession}. */
export function observed(within: readonly ModelWithin[]): string[] {
  return [...new Set(within.flatMap(({ value, from }) => (from === null ? [value] : [from, value])))];
}

/** Sessions that have been checked: those that objectives share are checked once. */
const checked = new WeakSet<NativeSession>();

/**
 * Runs a session once and compares each model's output with `run` on what the model gets there.
 *
 * @param feeds the graph's own input among them
 * @throws ModelError ERR_OUTPUTS_DIFFER
 */
export async function checkSession(
  session: NativeSession,
  { input, within, simplified }: GuardedGraph,
  feeds: Record<string, Tensor>,
  runs: ReferenceRuns,
  where: string,
): Promise<void> {
  if (within.length === 0 || checked.has(session)) return;
  const seen = floats(await runJob("checking models", undefined, () => session.run(feeds, observed(within))));
  for (const { model, output, value, from, inputs, coarse } of within) {
    const taken = from === null ? feeds[input]! : seen[from]!;
    const given = inputs?.(taken) ?? { [model.inputs[0]!.name]: taken };
    const expected = await runs.run(model, given);
    const moved = async (): Promise<Tensor> => {
      const feeds = Object.entries(given).map(([name, { data, shape }]) => [
        name,
        { data: nudged(data), shape },
      ]);
      return (await model.run(Object.fromEntries(feeds) as Record<string, Tensor>))[output]!;
    };
    try {
      await checkSame(
        seen[value]!,
        expected[output]!,
        { model: model.name, output, where, coarse, simplified },
        moved,
      );
    } catch (error) {
      // Numbers that are drawn anew at every run are never the same.
      const differs = error instanceof Tr0nError && error.code === "ERR_OUTPUTS_DIFFER";
      if (!differs || (await model.facts(output)).random === null) throw error;
    }
  }
  checked.add(session);
}
