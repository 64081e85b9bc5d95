/**
 * Makes lib/onnx/targets/cuda-kernels.ts of the list of kernels that ONNX Runtime publishes (docs/OperatorKernels.md of its
 * repository): `npx tsx scripts/operators/cuda.ts OperatorKernels.md COMMIT`.
 *
 * A kernel that is registered "from version v on" is taken for version v of its operator only: the runtime matches it by
 * equality (microsoft/onnxruntime#26393). So "MaxPool 12+" does not run in models of operator set 22, where MaxPool has
 * a new version.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bySets, firstSet, lastSet, newerVersion, tableFile } from "./versions.js";

const [list, commit] = process.argv.slice(2);
if (list === undefined || commit === undefined) throw new Error("expected OperatorKernels.md and its commit");

/** Versions as the list has them: 13, 13+ or [11, 12]. */
function versions(text: string): { from: number; to: number | null } {
  const range = /^\[(\d+), (\d+)\]$/.exec(text);
  if (range) return { from: Number(range[1]), to: Number(range[2]) };
  return { from: Number.parseInt(text, 10), to: text.endsWith("+") ? null : Number.parseInt(text, 10) };
}

const kernels = new Map<string, ReturnType<typeof versions>[]>();
const cuda = readFileSync(list, "utf8").split('<a name="cudaexecutionprovider"/>')[1]!;
const section = cuda.split("*ai.onnx*")[1]!.split("**Operator Domain:**")[0]!;
let opType = "";
for (const row of section.split("\n")) {
  const [, name, , sets, types] = row.split("|");
  if (!sets || !/\d/.test(sets)) continue;
  opType = name || opType;
  if (types?.includes("tensor(")) kernels.set(opType, [...(kernels.get(opType) ?? []), versions(sets)]);
}

const runs = new Map<string, Set<number>>();
for (const [name, ranges] of kernels)
  for (let set = firstSet as number; set <= lastSet; set++) {
    const version = newerVersion(name, set);
    const fits = ranges.some(({ from, to }) =>
      version === null
        ? from <= firstSet && (to === null || to >= firstSet)
        : from === version || (to !== null && from <= version && to >= version),
    );
    if (fits) runs.set(name, (runs.get(name) ?? new Set()).add(set));
  }

const file = fileURLToPath(new URL("../../lib/onnx/targets/cuda-kernels.ts", import.meta.url));
const head = [
  "Made by scripts/operators/cuda.ts; do not edit.",
  "Facts of docs/OperatorKernels.md of microsoft/onnxruntime; nothing of this ran on a GPU.",
];
writeFileSync(
  file,
  tableFile(
    "cudaKernels",
    head,
    `the kernels that ONNX Runtime's CUDA provider lists (commit ${commit.slice(0, 12)})`,
    bySets(runs),
  ),
);
execFileSync("npx", ["prettier", "--write", file]);
