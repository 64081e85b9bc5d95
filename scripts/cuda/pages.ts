/** The profile and the resources as text: for a terminal, and as the tables of docs/cuda.md. */
import {
  allFlops,
  holds,
  memoryBytes,
  requestedBytes,
  sum,
  title,
  verdicts,
  type KernelCounters,
  type Profile,
  type Verdict,
  type Workload,
} from "./profile.js";
import { architectures, occupancy, type Resources } from "./resources.js";

/** 1234567 → "1.23M" */
export function short(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : Number(value.toPrecision(3))}${units[unit]}`;
}

const ratio = (a: number, b: number): string => (b === 0 ? "-" : (a / b).toFixed(2));
const percent = (a: number, b: number): string => (b === 0 ? "-" : `${((100 * a) / b).toFixed(1)} %`);

const columns: [string, (k: KernelCounters) => string][] = [
  ["kernel", (k) => k.name],
  ["launches", (k) => `${k.launches}`],
  ["warp instr.", (k) => short(k.warpInstructions)],
  ["FLOPs", (k) => short(k.flops)],
  ["tensor FLOPs", (k) => short(k.tensorFlops)],
  ["requested B", (k) => short(requestedBytes(k))],
  ["sectors", (k) => short(k.sectors)],
  ["/min.", (k) => ratio(k.sectors, k.minimumSectors)],
  ["memory B", (k) => short(memoryBytes(k))],
  ["wavefronts", (k) => short(k.sharedWavefronts)],
  ["conflicts", (k) => percent(k.sharedConflicts, k.sharedWavefronts)],
  ["barriers", (k) => short(k.barriers)],
  ["FLOPs/B", (k) => ratio(allFlops(k), requestedBytes(k))],
  ["est. µs", (k) => k.estimatedMicroseconds.toFixed(2)],
];

function totals(kernels: readonly KernelCounters[]): KernelCounters {
  const total = { ...kernels[0]!, name: "total", warpInstructionsByClass: {} as Record<string, number> };
  for (const key of Object.keys(total) as (keyof KernelCounters)[]) {
    if (typeof total[key] === "number") (total[key] as number) = sum(kernels, (k) => k[key] as number);
  }
  return total;
}

/** The slowest by the estimate first, then the sum. */
function rows(workload: Workload): string[][] {
  const kernels = workload.counters.kernels.toSorted(
    (a, b) => b.estimatedMicroseconds - a.estimatedMicroseconds,
  );
  return [...kernels, ...(kernels.length > 1 ? [totals(kernels)] : [])].map((k) =>
    columns.map(([, of]) => of(k)),
  );
}

/** Aligned for a terminal, with the warp instructions of each kernel by class. */
export function tableOf(workload: Workload): string {
  const lines = [columns.map(([name]) => name), ...rows(workload)];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const aligned = lines.map((line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
  );
  const classes = workload.counters.kernels.map((k) => {
    const used = Object.entries(k.warpInstructionsByClass).filter(([, count]) => count > 0);
    return `  ${k.name}: ${used.map(([name, count]) => `${name} ${short(count)}`).join(", ")}`;
  });
  const emulated = `emulated in ${workload.emulatedSeconds.toFixed(1)} s; ${workload.counters.estimate}`;
  return [`${title(workload)} (${emulated})`, ...aligned, "warp instructions by class:", ...classes, ""].join(
    "\n",
  );
}

const value = (v: number): string => `${Number(v.toPrecision(4))}`;

export function readingOf(v: Verdict): string {
  const bound = v.kind === "most" ? "at most" : "at least";
  return `${holds(v) ? "ok      " : "EXCEEDED"}  ${v.workload}: ${v.what}: ${value(v.value)}, ${bound} ${v.limit}`;
}

const markdownRow = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function markdownTable(header: readonly string[], body: readonly (readonly string[])[]): string {
  return [header, header.map((_, i) => (i === 0 ? "---" : "--:")), ...body].map(markdownRow).join("\n");
}

/** `page` with what stands between <!-- name --> and <!-- /name --> replaced. */
function replaceSection(page: string, name: string, text: string): string {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/cuda.md has no section ${name}`);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}

/** What of the limits is worth a line: the worst of each kind in a workload. */
function worst(workload: Workload): string[][] {
  const byKind = new Map<string, Verdict>();
  for (const verdict of verdicts(workload)) {
    const kind = verdict.what.replace(/^\w+: /, "");
    const known = byKind.get(kind);
    const worse =
      known && (verdict.kind === "most" ? verdict.value > known.value : verdict.value < known.value);
    if (!known || worse) byKind.set(kind, verdict);
  }
  return [...byKind].map(([kind, v]) => [
    title(workload),
    kind,
    value(v.value),
    `${v.kind === "most" ? "≤" : "≥"} ${v.limit}`,
  ]);
}

export function profilePage(page: string, profile: Profile): string {
  const tables = profile.workloads.map(
    (w) =>
      `### ${title(w)}\n\n${markdownTable(
        columns.map(([name]) => name),
        rows(w),
      )}`,
  );
  const limits = markdownTable(["workload", "limit", "worst", "allowed"], profile.workloads.flatMap(worst));
  return replaceSection(replaceSection(page, "profile", tables.join("\n\n")), "limits", limits);
}

/** Registers and occupancy by architecture; threads and shared memory of a block as the profile's launches have them. */
export function resourcesPage(page: string, resources: readonly Resources[], profile: Profile): string {
  const shapes = new Map<string, { threads: number; shared: number }>();
  for (const k of profile.workloads.flatMap((w) => w.counters.kernels)) {
    const known = shapes.get(k.name);
    shapes.set(k.name, {
      threads: Math.max(known?.threads ?? 0, k.threads / k.blocks),
      shared: Math.max(known?.shared ?? 0, k.sharedBytesPerBlock),
    });
  }
  const kernels = [...new Set(resources.map((r) => r.kernel))].filter((name) => shapes.has(name)).sort();
  const body = kernels.map((kernel) => {
    const { threads, shared } = shapes.get(kernel)!;
    const cells = architectures.map((architecture) => {
      const found = resources.find((r) => r.kernel === kernel && r.architecture === architecture);
      // TF32 needs compute capability 8.0.
      if (!found && architecture < 80 && kernel.endsWith("_tf32")) return "none";
      if (!found) throw new Error(`${kernel} was not compiled for sm_${architecture}`);
      const share = occupancy(architecture, found.registers, threads, shared);
      return share > 0 ? `${found.registers} / ${Math.round(100 * share)} %` : `${found.registers} / -`;
    });
    return [`\`${kernel}\``, `${threads}`, `${shared}`, ...cells];
  });
  const header = ["kernel", "threads", "shared B", ...architectures.map((a) => `sm_${a}`)];
  return replaceSection(page, "resources", markdownTable(header, body));
}
