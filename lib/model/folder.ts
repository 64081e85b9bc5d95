/**
 * The one reader of external data. A model names files; which of them are read is decided here and nowhere else: regular
 * files whose real path lies below the model's folder. ONNX Runtime is never given a model that names any.
 */
import { readlink, realpath } from "node:fs/promises";
import { isAbsolute, join, dirname, relative } from "node:path";
import { reason } from "../base/atomic-write.js";
import { ModelError, describe } from "../base/errors.js";
import { withFile, type FileState, type StatedFile } from "../base/file-state.js";
import type { CheckedFile } from "./checked-file.js";

/** A file of weights, open. */
export interface OpenWeightFile extends StatedFile {
  readonly checked: CheckedFile;
}

/** Whether a real path lies below a real folder. */
export function liesBelow(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== "" && !isAbsolute(way) && way.split(/[/\\]/)[0] !== "..";
}

export class ModelFolder {
  /** Of files that have been read, by location: what is read again must be the same. */
  private readonly states = new Map<string, FileState>();

  /**
   * @param path the folder that locations are relative to
   * @param modelFile the model's file: where it is a link, weights may also lie below the folder that it leads to, as
   *   download caches have it
   */
  constructor(
    readonly path: string,
    private readonly modelFile: string | null = null,
  ) {}

  /**
   * Opens the file of a location, which externalRange() has checked; it is closed afterwards.
   *
   * @param what model and constant, for messages
   * @throws ModelError ERR_MODEL_NOT_FOUND, or ERR_MODEL_INVALID where it leads out of the folder or has changed since it
   *   was read first
   */
  async read<T>(location: string, what: string, use: (file: OpenWeightFile) => Promise<T>): Promise<T> {
    const named = join(this.path, location);
    const label = `${what}: its external data ${describe(location)}`;
    const real = await this.resolve(named, label);
    // What was checked is what is opened: no link has come into the last place since, nor, as the system says, into any.
    return withFile(real, label, { state: this.states.get(location), linked: false }, async (file) => {
      const opened = await pathOf(file.handle.fd);
      if (opened !== null && opened !== real) throw leaves(label, opened);
      this.states.set(location, file.state);
      return use({ ...file, checked: { path: named, state: file.state, own: false } });
    });
  }

  private async resolve(named: string, label: string): Promise<string> {
    let real: string;
    const roots: string[] = [];
    try {
      real = await realpath(named);
      roots.push(await realpath(this.path));
      if (this.modelFile !== null) roots.push(dirname(await realpath(this.modelFile)));
    } catch (error) {
      throw new ModelError(
        "ERR_MODEL_NOT_FOUND",
        `${label} cannot be read: ${reason(error)}; it belongs into ${this.path}`,
        { cause: error },
      );
    }
    if (!roots.some((root) => liesBelow(root, real))) throw leaves(label, real);
    return real;
  }
}

function leaves(label: string, real: string): ModelError {
  return new ModelError(
    "ERR_MODEL_INVALID",
    `${label} must lie in the model's folder, but leads to ${real}; copy the file into the folder in place of the link`,
  );
}

/** Where an open file is; null where the system does not say. */
async function pathOf(fd: number): Promise<string | null> {
  if (process.platform !== "linux") return null;
  try {
    return await readlink(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
}
