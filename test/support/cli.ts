/** Runs the command line in this process, with its output caught; and the files that most tests of it need. */
import { EventEmitter } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli } from "../../lib/cli/cli.js";
import { analyticClassifier, analyticGenerator } from "./analytic.js";

export interface Outcome {
  code: number;
  out: string;
  error: string;
  /** `out` as JSON. */
  json: () => Record<string, unknown>;
}

/** `signals` may emit "SIGINT" while the command runs. */
export async function tr0n(args: readonly string[], signals = new EventEmitter()): Promise<Outcome> {
  let [out, error] = ["", ""];
  const code = await cli(args, {
    out: (text) => (out += text),
    error: (text) => (error += text),
    terminal: false,
    signals,
    exit: () => undefined,
  });
  return { code, out, error, json: () => JSON.parse(out) as Record<string, unknown> };
}

/** A folder with g.onnx and f.onnx, 3 latents and 2 classes; remove() deletes it. */
export async function workplace(): Promise<{
  path: (name: string) => string;
  models: string[];
  remove: () => Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), "tr0n-cli-"));
  const path = (name: string): string => join(folder, name);
  await writeFile(path("g.onnx"), analyticGenerator());
  await writeFile(path("f.onnx"), analyticClassifier());
  return {
    path,
    models: ["--generator", path("g.onnx"), "--encoder", path("f.onnx")],
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
