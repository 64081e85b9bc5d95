import { shapeText } from "../../base/check.js";
import { copyInTurns } from "../../base/copy.js";
import { ArgumentError, FileError } from "../../base/errors.js";
import { hashBytes } from "../../base/hash.js";
import { readMatrix } from "../../base/read-matrix.js";
import { findTensor } from "../../base/safetensors.js";
import { checkTensor, copyTensor, type Tensor } from "../../base/tensor.js";
import { requireFinite } from "../../native/rows.js";
import { checkValue } from "../../options/check.js";
import { object, path, required } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { momentsOf } from "../moments.js";
import { densityOf } from "./factorised.js";
import { defineLatent, size } from "./kind.js";

/** The rows of a table, each as likely as the others. */
export interface TableLatent {
  readonly kind: "table";
  readonly dim: number;
  /** [rows, dim] */
  readonly table: Tensor;
}

/** What files have for one; the numbers themselves are a tensor of the file. */
export interface StoredTable {
  readonly kind: "table";
  readonly dim: number;
  readonly rows: number;
  readonly sha256: string;
}

const options = object({
  file: required(path(), "its rows: the only tensor of a .safetensors file, or JSON"),
});

/**
 * Uniform over the rows of a table [rows, dim], such as BigGAN's class embeddings. Its numbers are copied.
 *
 * A table has no density. Pairs, and samples that start at the prior, take its rows; wherever a density is asked for
 * (resample's weights and its candidates from the prior, MALA's accept step, the prior's energy, the entropy of the
 * training report) a normal with the mean and standard deviation of each column of the table stands in, so that
 * samples lie between rows. The hybrid and Langevin samplers, which need no density, move it by Adam.
 */
function make(table: Tensor): TableLatent {
  checkTensor("table", table, { finite: true });
  if (table.shape.length !== 2 || table.shape.includes(0))
    throw new ArgumentError(`table: expected the shape [rows, dim], got ${shapeText(table.shape)}`, {
      code: "ERR_SHAPE_MISMATCH",
    });
  return finished(copyTensor(table));
}

/** Tables that were made here, whose numbers need no second look and no second copy. */
const made = new WeakSet<TableLatent>();

function finished(own: Tensor): TableLatent {
  const dim = checkValue(size, own.shape[1]!, "dim");
  const latent: TableLatent = Object.freeze({ kind: "table", dim, table: own });
  made.add(latent);
  return latent;
}

async function describe({ dim, table: { data, shape } }: TableLatent): Promise<StoredTable> {
  const sha256 = await hashBytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { kind: "table", dim, rows: shape[0]!, sha256 };
}

export const table = defineLatent({
  kind: "table",
  is: "the rows of a table, each as likely as the others",
  options,
  make,
  check: (_: string, latent: TableLatent) => (made.has(latent) ? latent : make(latent.table)),
  bound: () => undefined,
  draws: async ({ dim, table: { data, shape } }) => {
    // Whoever has the latent can write to its numbers, while jobs use them where they lie.
    const own = await copyInTurns(data);
    const rows = shape[0]!;
    await requireFinite("table", own);
    return {
      base: densityOf({ kind: "uniform", dim: 1, low: 0, high: rows }),
      made: { table: { owned: own }, rows },
      moments: (signal) => momentsOf(own, dim, signal),
    };
  },
  rule: "adam",
  describe,
  checkDescription: (name, stored: StoredTable) => {
    if (!(stored.rows >= 1 && stored.dim >= 1)) throw new TypeError(`${name}: expected a table's size`);
    return stored;
  },
  tensors: (latent) => ({ table: latent.table }),
  restore: async (stored, { tensors, path, tensorName }) => {
    const name = tensorName("table");
    const shape = [stored.rows, stored.dim];
    const data = await copyInTurns(findTensor(tensors, path, name, shape));
    const found = finished({ data, shape });
    if ((await describe(found)).sha256 !== stored.sha256)
      throw new FileError("ERR_FILE_INVALID", `${path}: its table ${name} is not the one that was saved`);
    return found;
  },
  build: async ({ file }: Spec<"table", typeof options>) => make(await readMatrix(file)),
  spelling: {
    word: "table",
    syntax: "table:FILE (rows of a matrix, .safetensors or JSON)",
    read: (parts) => (parts.join(":") === "" ? null : { file: parts.join(":") }),
  },
});
