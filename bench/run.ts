/**
 * `npm run bench`: every case of bench/cases, against the peers found on this machine and its limits; see README.md.
 *
 *     npm run bench -- [--cases training,product] [--seconds 2] [--threads 2] [--no-peers] [--json FILE]
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { measureLimits } from "../lib/bench/limits.js";
import { native } from "../lib/native/binding.js";
import { textTable } from "../lib/base/text-table.js";
import type { Case, Row, WaitPolicy } from "./case.js";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const { values } = parseArgs({
  options: {
    cases: { type: "string" },
    seconds: { type: "string", default: "2" },
    threads: { type: "string" },
    json: { type: "string" },
    "no-peers": { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds: expected a number above 0, got ${values.seconds}`);
if (values.threads !== undefined) native().setThreads(Number(values.threads));
const threads = native().threads();

/** The first Python that has PyTorch. */
function findPython(): string | null {
  for (const python of [process.env["TR0N_PYTHON"], "/usr/bin/python3", "python3"])
    if (python !== undefined)
      try {
        execFileSync(python, ["-c", "import torch"], { stdio: "ignore" });
        return python;
      } catch {
        continue;
      }
  process.stderr.write("peers skipped: no Python with PyTorch (Debian: apt-get install python3-torch)\n");
  return null;
}

const python = values["no-peers"] ? null : findPython();

function peer<T>(script: string, argument: object, policy: WaitPolicy): Promise<T> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    OMP_WAIT_POLICY: policy,
    OMP_NUM_THREADS: `${threads}`,
    OPENBLAS_NUM_THREADS: `${threads}`,
  };
  // OpenBLAS shall choose its kernels by itself.
  delete env["OPENBLAS_CORETYPE"];
  delete env["OPENBLAS_L2_SIZE"];
  const output = execFileSync(python!, [here(`peers/${script}`), JSON.stringify({ ...argument, threads })], {
    env,
    encoding: "utf8",
  });
  return Promise.resolve(JSON.parse(output) as T);
}

/** How many times better than the best peer. */
function ratio(row: Row): number | null {
  if (row.peers === undefined) return null;
  const all = Object.values(row.peers);
  const small = ["ms", "µs", "MiB"].includes(row.unit);
  return small ? Math.min(...all) / row.ours : row.ours / Math.max(...all);
}

const number = (value: number): string => value.toPrecision(value >= 1000 ? 4 : 3);

function line(row: Row): string[] {
  const times = ratio(row);
  return [
    row.name,
    `${number(row.ours)} ${row.unit}`,
    Object.entries(row.peers ?? {})
      .map(([name, value]) => `${name} ${number(value)}`)
      .join(", "),
    times === null ? "" : `${times.toFixed(2)}×`,
    row.target === undefined
      ? ""
      : `≥ ${row.target}×${times === null ? "" : times >= row.target ? " reached" : " missed"}`,
    row.limit === undefined ? "" : `${number(row.limit.value)} (${row.limit.by})`,
  ];
}

const wanted = values.cases?.split(",");
const found: Case[] = [];
for (const file of readdirSync(here("cases")).sort())
  found.push(((await import(new URL(`cases/${file}`, import.meta.url).href)) as { default: Case }).default);
for (const name of wanted ?? [])
  if (!found.some((c) => c.name === name))
    throw new Error(`--cases: expected some of ${found.map((c) => c.name).join(", ")}, got ${name}`);
if (values.json !== undefined && existsSync(values.json))
  process.stderr.write(`${values.json} will be replaced\n`);

const limits = await measureLimits();
const results = [];
for (const c of found) {
  if (wanted && !wanted.includes(c.name)) continue;
  const rows = await c.run({ limits, python, peer, seconds });
  process.stdout.write(`\n${c.name}: ${c.summary}\n`);
  process.stdout.write(
    `${textTable(["", "tr0n", "peers", "times better", "target", "limit"], rows.map(line))}\n`,
  );
  results.push({ case: c.name, rows: rows.map((row) => ({ ...row, ratio: ratio(row) })) });
}
if (values.json !== undefined) {
  const machine = { processor: cpus()[0]?.model ?? "unknown", ...limits };
  writeFileSync(values.json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
}
