/**
 * Where a weight of a graph lies once its file has been found and checked. Such a file takes the room of a location in the
 * graph, under a mark that nobody can write into a model beforehand: a location without it has not been checked.
 */
import { randomUUID } from "node:crypto";
import { ModelError, describe } from "../base/errors.js";
import type { FileState } from "../base/file-state.js";
import { externalWeights, type ExternalWeight, type Graph } from "../onnx/index.js";

export interface CheckedFile {
  readonly path: string;
  /** What the file must be when it is read again. */
  readonly state: FileState;
  /** The numbers are a model's own: an optimiser may fold them, as it does with those that come along with a graph. */
  readonly own: boolean;
}

const mark = randomUUID();

export function checkedLocation({ path, state, own }: CheckedFile): string {
  return [mark, state, own ? "own" : "", path].join("\0");
}

/** @throws ModelError ERR_MODEL_UNSUPPORTED for a location that has not been checked */
export function checkedFileOf(location: string): CheckedFile {
  const [found, state, own, path] = location.split("\0");
  if (found !== mark || state === undefined || path === undefined)
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `constants in another file (${describe(location)}) are not read here`,
    );
  return { path, state, own: own === "own" };
}

export interface CheckedWeight extends ExternalWeight, CheckedFile {}

/** The weights of a graph that lie in files. @throws as {@link checkedFileOf} */
export function checkedWeights(graph: Graph): CheckedWeight[] {
  return externalWeights(graph).map((weight) => ({ ...weight, ...checkedFileOf(weight.location) }));
}
