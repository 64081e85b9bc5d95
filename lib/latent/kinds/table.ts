import { createHash } from "node:crypto";
import { shapeText } from "../../base/check.js";
import { ArgumentError, FileError } from "../../base/errors.js";
import { readMatrix } from "../../base/read-matrix.js";
import { takeTensor } from "../../base/safetensors.js";
import { checkTensor, copyTensor, type Tensor } from "../../base/tensor.js";
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

/**
 * The numbers themselves are a tensor of the file.
 *
 * @internal
 */
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
  const dim = checkValue(size, table.shape[1]!, "dim");
  return Object.freeze({ kind: "table", dim, table: copyTensor(table) });
}

function describe({ dim, table: { data, shape } }: TableLatent): StoredTable {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { kind: "table", dim, rows: shape[0]!, sha256 };
}

/** Rows of a table by draws [n, 1] from [0, rows]. */
function rowsAt({ dim, table: { data, shape } }: TableLatent, draws: Float32Array, n: number): Float32Array {
  const out = new Float32Array(n * dim);
  for (let i = 0; i < n; i++) {
    const row = Math.min(Math.floor(draws[i]!), shape[0]! - 1);
    out.set(data.subarray(row * dim, (row + 1) * dim), i * dim);
  }
  return out;
}

export const table = defineLatent({
  kind: "table",
  is: "the rows of a table, each as likely as the others",
  options,
  make,
  check: (_: string, latent: TableLatent) => make(latent.table),
  bound: () => undefined,
  draws: (latent) => ({
    base: densityOf({ kind: "uniform", dim: 1, low: 0, high: latent.table.shape[0]! }),
    rows: (draws, n) => rowsAt(latent, draws, n),
    moments: () => momentsOf([latent.table.data], latent.dim),
  }),
  rule: "adam",
  describe,
  checkDescription: (name, stored: StoredTable) => {
    if (!(stored.rows >= 1 && stored.dim >= 1)) throw new TypeError(`${name}: expected a table's size`);
    return stored;
  },
  tensors: (latent) => ({ table: latent.table }),
  restore: (stored, { tensors, path, tensorName }) => {
    const name = tensorName("table");
    const shape = [stored.rows, stored.dim];
    const found = make({ data: takeTensor(tensors, path, name, shape), shape });
    if (describe(found).sha256 !== stored.sha256)
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
