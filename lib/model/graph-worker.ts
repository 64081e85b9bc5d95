/** A thread for passes over large graphs, with which the event loop has nothing to do. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { debuglog } from "node:util";
import { Worker } from "node:worker_threads";
import { abortable } from "../native/job.js";
import { packSteps, unpackSteps, Weights, type Graph } from "../onnx/index.js";
import { revived } from "./error-message.js";
import { greeting, type Answer, type Job, type PassName } from "./passes.js";
import { inSlices } from "./slices.js";

/** There is no worker, or it ended: whoever wanted something of it does it otherwise. */
export class WorkerLost extends Error {}

/** A pass needs numbers of weights that stayed here. */
class WeightsWanted extends Error {}

interface GraphWorkerOptions {
  /** The worker's program; undefined: there is none. */
  file: string | undefined;
  /** Milliseconds without a job after which the thread ends. */
  idle?: number;
  /** Milliseconds within which it must have started. */
  start?: number;
}

const debug = debuglog("tr0n");

/** One thread, started when there is a job, and ended when there have been none for a while. It keeps no process alive. */
export class GraphWorker {
  /** Jobs that it finished, whatever came of them. */
  done = 0;
  private readonly options: Required<GraphWorkerOptions>;
  private thread: { readonly worker: Worker; readonly ready: Promise<void> } | undefined;
  private readonly waiting = new Map<number, (answer: Answer | Error) => void>();
  private next = 0;
  private timer: NodeJS.Timeout | undefined;
  /** Why no further thread is started. */
  private broken: string | undefined;

  constructor({ file, idle = 5000, start = 30_000 }: GraphWorkerOptions) {
    this.options = { file, idle, start };
  }

  /** Whether there is a thread now. */
  get running(): boolean {
    return this.thread !== undefined;
  }

  /**
   * What passSteps() makes of the same. The graphs are not changed.
   *
   * @param what what messages call it
   * @throws what the pass throws, AbortError, WorkerLost
   */
  async run(
    what: string,
    pass: PassName,
    graphs: readonly Graph[],
    options: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<Graph> {
    try {
      return await this.attempt(what, { pass, graphs, options, weights: true }, signal);
    } catch (error) {
      if (!(error instanceof WeightsWanted)) throw error;
      debug("%s: again, with all weights", what);
      return this.attempt(what, { pass, graphs, options, weights: false }, signal);
    }
  }

  private async attempt(
    what: string,
    given: { pass: PassName; graphs: readonly Graph[]; options: readonly unknown[]; weights: boolean },
    signal: AbortSignal | undefined,
  ): Promise<Graph> {
    const { pass, graphs, options } = given;
    const weights = new Weights(`${randomUUID()} `);
    const parcels = [];
    for (const graph of graphs)
      parcels.push(await inSlices(what, packSteps(graph, given.weights ? weights : null), signal));
    const stop = new SharedArrayBuffer(4);
    const job: Job = { id: this.next++, pass, parcels, options, mark: weights.mark, stop };
    try {
      const answer = await abortable(what, this.ask(job), signal);
      if ("error" in answer) throw revived(answer.error) ?? new WeightsWanted();
      return await inSlices(
        what,
        unpackSteps(answer.parcel, (note) => weights.restored(note)),
        signal,
      );
    } finally {
      Atomics.store(new Int32Array(stop), 0, 1);
      this.forget(job.id);
    }
  }

  /** Ends the thread, if there is one. */
  async end(): Promise<void> {
    clearTimeout(this.timer);
    const thread = this.thread;
    this.lose(thread?.worker, "it was told to end");
    await thread?.worker.terminate();
  }

  private async ask(job: Job): Promise<Answer> {
    const { worker, ready } = this.started();
    const answered = new Promise<Answer>((resolve, reject) => {
      this.waiting.set(job.id, (answer) => {
        if (answer instanceof Error) return reject(answer);
        this.done++;
        resolve(answer);
      });
    });
    clearTimeout(this.timer);
    worker.ref();
    ready.then(
      () => {
        if (this.waiting.has(job.id))
          worker.postMessage(
            job,
            job.parcels.map(({ bytes }) => bytes.buffer),
          );
      },
      () => undefined, // lose() has told all that wait
    );
    return answered;
  }

  private forget(id: number): void {
    this.waiting.delete(id);
    if (this.waiting.size > 0 || !this.thread) return;
    const { worker } = this.thread;
    worker.unref();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.end(), this.options.idle).unref();
  }

  /** @throws WorkerLost */
  private started(): NonNullable<typeof this.thread> {
    if (this.thread) return this.thread;
    const { file, start } = this.options;
    if (this.broken === undefined && (file === undefined || !existsSync(file)))
      this.giveUp(file === undefined ? "its program is not there" : `${file} is not there`);
    if (this.broken !== undefined) throw new WorkerLost(this.broken);
    let worker: Worker;
    try {
      // A program of one's own needs nothing that the process was started with, and some of it is refused in a thread.
      const how = { name: "tr0n graphs", execArgv: [] };
      worker = file!.endsWith(".ts")
        ? new Worker(fromSource(file!), { ...how, eval: true })
        : new Worker(file!, how);
    } catch (error) {
      this.giveUp(error instanceof Error ? error.message : String(error));
      throw new WorkerLost(this.broken, { cause: error });
    }
    let greeted = false;
    const ready = new Promise<void>((resolve, reject) => {
      const lost = (why: string): void => {
        clearTimeout(late);
        if (!greeted && this.thread?.worker === worker) this.giveUp(why);
        this.lose(worker, why);
        reject(new WorkerLost(why));
        void worker.terminate();
      };
      const late = setTimeout(() => lost(`it has not started within ${start / 1000} s`), start).unref();
      worker.on("message", (message: unknown) => {
        if (greeted) return this.waiting.get((message as Answer).id)?.(message as Answer);
        if (message !== greeting) return lost(`${file} is the program of another version`);
        greeted = true;
        clearTimeout(late);
        resolve();
      });
      worker.on("error", (error) => lost(error instanceof Error ? error.message : String(error)));
      worker.on("messageerror", (error) => lost(error.message));
      worker.on("exit", (code) => lost(`it ended with code ${code}`));
    });
    ready.catch(() => undefined);
    return (this.thread = { worker, ready });
  }

  private lose(worker: Worker | undefined, why: string): void {
    if (worker === undefined || this.thread?.worker !== worker) return;
    this.thread = undefined;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const settle of waiting) settle(new WorkerLost(why));
  }

  /** Says it once: what is the matter with a program does not change. */
  private giveUp(why: string): void {
    if (this.broken !== undefined) return;
    this.broken = why;
    debug("large graphs are worked on in slices of the event loop, for there is no worker thread: %s", why);
  }
}

/** In this repository nothing is compiled before it is run; a thread does not take over what the process does about it. */
function fromSource(file: string): string {
  return `const load = require("node:module").createRequire(${JSON.stringify(file)});
load("tsx/cjs/api").register();
load(${JSON.stringify(file)});`;
}

/**
 * The worker's program: a file beside this one, from source and in dist/, where a name of its own keeps a bundler's file apart
 * that happens to lie beside a bundle. TR0N_GRAPH_WORKER names another, or is "off".
 */
export function workerFile(): string | undefined {
  const override = process.env["TR0N_GRAPH_WORKER"];
  if (override) return override === "off" ? undefined : override;
  const here = typeof __filename === "string" ? __filename : fileURLToPath(import.meta.url);
  return join(dirname(here), here.endsWith(".ts") ? "worker.ts" : "tr0n-worker.cjs");
}
