/** What runs in the thread that {@link GraphWorker} starts: one job after the other. It loads no native code. */
import { parentPort } from "node:worker_threads";
import { finish, noteReader, packSteps, unpackSteps, type Steps } from "../onnx/index.js";
import { errorMessage } from "./error-message.js";
import { greeting, passSteps, type Answer, type Job } from "./passes.js";

class Stopped extends Error {}

/** Runs a pass to its end, unless nobody waits for it any more. */
function run<T>(steps: Steps<T>, stop: Int32Array): T {
  for (;;) {
    if (Atomics.load(stop, 0) !== 0) throw new Stopped();
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function answer({ id, pass, parcels, options, mark, stop }: Job): Answer | null {
  const flag = new Int32Array(stop);
  try {
    const graphs = parcels.map((parcel) => run(unpackSteps(parcel, noteReader(mark)), flag));
    const result = run(passSteps(pass, graphs, options), flag);
    return { id, parcel: finish(packSteps(result, null)) };
  } catch (error) {
    return error instanceof Stopped ? null : { id, error: errorMessage(error) };
  }
}

const port = parentPort;
if (port) {
  port.on("message", (job: Job) => {
    const said = answer(job);
    if (said) port.postMessage(said, "parcel" in said ? [said.parcel.bytes.buffer] : []);
  });
  port.postMessage(greeting);
}
