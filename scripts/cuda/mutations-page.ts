import type { Mutation, Outcome } from "./mutations.js";

const cell = (text: string): string => text.replace(/\s+/g, " ").trim().replaceAll("|", "\\|");
const code = (text: string): string => (text.trim() === "" ? "(nothing)" : `\`${cell(text)}\``);

/** One row of the page for a mutation, but for its outcome. */
export const describe = (m: Mutation): string =>
  `| ${m.file}${m.sm === 75 ? " (sm_75)" : ""} | ${cell(m.what)} | ${code(m.find)} | ${code(m.replace)} |`;

/** docs/cuda-mutations.md */
export function mutationsPage(mutations: readonly Mutation[], outcomeOf: (m: Mutation) => Outcome): string {
  const rows = mutations.map((m) => {
    const { caught, by } = outcomeOf(m);
    const outcome = caught ? by : `**survived**${m.survives ? `: ${m.survives}` : ""}`;
    return `${describe(m)} ${cell(outcome)} |`;
  });
  const caught = mutations.filter((m) => outcomeOf(m).caught).length;
  return `# Mistakes planted into the CUDA kernels

Made by \`npx tsx scripts/cuda-mutations.ts\`, which breaks one place of a source at a time, compiles it and runs the native
self-test (\`cuda-selftest --quick\`) on the driver emulator. The last column says what noticed: the case that failed, with the
kind of violation where the emulator reported one.

**${caught} of ${mutations.length} noticed.**

| file | mistake | was | became | noticed by |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
