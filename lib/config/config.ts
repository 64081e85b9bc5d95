/** A configuration file: its type, and reading one. */
import { dirname, isAbsolute, join } from "node:path";
import { reason } from "../base/atomic-write.js";
import { ArgumentError, FileError } from "../base/errors.js";
import { readWholeFile } from "../base/read-file.js";
import { checkFile } from "../options/check.js";
import type { FileTypeOf } from "../options/describe.js";
import { documentShape, type ModelSpec } from "./document.js";

export type { ConditionSpec, ModelSpec, SamplerSpec } from "./document.js";

type Sections = FileTypeOf<typeof documentShape>;
type ModelSections = "generator" | "encoder" | "pairEncoder" | "mapping";

/** The sections of a file as document.ts describes them; models are always objects, and paths are resolved. */
export interface RunConfig extends Omit<Sections, "$schema" | "augment" | ModelSections> {
  generator?: ModelSpec;
  encoder?: ModelSpec;
  pairEncoder?: ModelSpec;
  /** The mapping network of mapped latents. */
  mapping?: ModelSpec;
  /** null: none, also where a translator file has one. */
  augment?: Sections["augment"] | null;
}

/**
 * Reads and checks a file. Paths in it are relative to its folder.
 *
 * @throws FileError ERR_IO, ERR_FILE_INVALID naming the key by its path in the document
 */
export async function loadConfig(path: string): Promise<RunConfig> {
  let text: string;
  try {
    text = (await readWholeFile(path)).toString("utf8");
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = `${path}: expected JSON: ${(error as Error).message}`;
    throw new FileError("ERR_FILE_INVALID", message, { cause: error });
  }
  const folder = dirname(path);
  try {
    return parseConfig(value, (file) => (isAbsolute(file) ? file : join(folder, file)));
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new FileError("ERR_FILE_INVALID", `${path}: ${error.message}`, { cause: error });
  }
}

/** @throws ArgumentError naming the key by its path in the document */
export function parseConfig(value: unknown, resolve: (path: string) => string): RunConfig {
  const { generator, encoder, pairEncoder, mapping, ...sections } = checkFile(documentShape, value, resolve);
  delete sections.$schema;
  const models = Object.entries({ generator, encoder, pairEncoder, mapping }).flatMap(([role, spec]) =>
    spec === undefined ? [] : [[role, typeof spec === "string" ? { model: spec } : spec]],
  );
  return { ...sections, ...(Object.fromEntries(models) as Pick<RunConfig, ModelSections>) };
}
