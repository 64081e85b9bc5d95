/** How an objective's pipelines open their sessions. */
import type { Decision } from "../base/decisions.js";
import type { MaxBatch } from "../model/batch-size.js";
import type { ModelPlace } from "../native/placement.js";
import type { NativeSession } from "../native/types/models.js";
import type { Probe } from "../model/output-guard.js";
import type { PipelineOptions } from "../model/pipeline-links.js";
import { openGraph } from "../model/weights.js";
import type { MadeOnce } from "./made-once.js";

/** A pipeline that is to be opened. */
export interface Opening {
  /** What messages call it. */
  readonly name: string;
  /** Rows that its models were exported for; 0 where that is open. */
  readonly fixedBatch: number;
  readonly probe: Probe;
  readonly signal: AbortSignal;
}

export class Sessions {
  constructor(
    private readonly made: MadeOnce,
    private readonly maxBatch: MaxBatch,
    private readonly place: ModelPlace,
    private readonly decided: (decision: Decision) => void,
  ) {}

  /** Sessions of the pipeline's own. */
  own({ name, fixedBatch, probe, signal }: Opening): PipelineOptions {
    const measure = this.maxBatch === "auto";
    const how = { threads: 1, what: "opening a session", fingerprint: true, measure, signal };
    const open: PipelineOptions["open"] = async (graph, session, device): Promise<NativeSession> =>
      this.made.keep(await openGraph(graph, { ...how, name: session, place: { ...this.place, device } }));
    const { maxBatch, decided } = this;
    return { name, fixedBatch, maxBatch, decided, open, probe };
  }

  /** The energies alone and with the gradient share the sessions that they have in common, by the name of `what`. */
  shared(what: string, opening: Opening): PipelineOptions {
    const open: PipelineOptions["open"] = (graph, session, device) =>
      this.made.once(`${what} session: ${session}`, opening.signal, (stop) =>
        this.own({ ...opening, signal: stop }).open(graph, session, device),
      );
    return { ...this.own(opening), open };
  }
}
