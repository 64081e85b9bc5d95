/**
 * Breaks the CUDA kernels on purpose, one mistake at a time, and sees whether the native self-test notices on the driver
 * emulator: `npx tsx scripts/cuda-mutations.ts` writes docs/cuda-mutations.md; at least 95 of 100 must be noticed. With
 * arguments only the mutations whose file or description contains one of them, and nothing is written.
 *
 * What was noticed is kept in build/mutations.json and not tried again as long as neither the mutation nor a source that it
 * reaches changes; delete the file where cases were taken out of the self-test.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, root } from "./cuda/build.js";
import {
  attempt,
  checkBaseline,
  digest,
  readSources,
  type Mutation,
  type Outcome,
} from "./cuda/mutations.js";
import { mutations } from "./cuda/mutations/index.js";
import { mutationsPage } from "./cuda/mutations-page.js";

const wanted = process.argv.slice(2);
const chosen = mutations.filter(
  (m) => wanted.length === 0 || wanted.some((text) => m.file.includes(text) || m.what.includes(text)),
);
build();
if (wanted.length === 0) await checkBaseline();

const record = join(root, "build", "mutations.json");
const known = new Map<string, string>(
  existsSync(record)
    ? Object.entries(JSON.parse(readFileSync(record, "utf8")) as Record<string, string>)
    : [],
);
const sources = await readSources();

async function outcomeOf(mutation: Mutation): Promise<Outcome> {
  const key = digest(sources, mutation);
  const by = known.get(key);
  if (by) return { caught: true, by };
  const outcome = await attempt(mutation);
  if (outcome.caught) {
    known.set(key, outcome.by);
    writeFileSync(record, JSON.stringify(Object.fromEntries(known)));
  }
  return outcome;
}

const outcomes = new Map<Mutation, Outcome>();
const waiting = [...chosen];
async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    let text: string;
    try {
      const outcome = await outcomeOf(mutation);
      outcomes.set(mutation, outcome);
      text = outcome.caught ? `noticed by ${outcome.by}` : "SURVIVED";
    } catch (error) {
      text = `ERROR ${(error as Error).message}`;
    }
    process.stdout.write(`${mutation.file}: ${mutation.what}: ${text}\n`);
  }
}
await Promise.all([work(), work()]);
const caught = chosen.filter((m) => outcomes.get(m)?.caught).length;
process.stdout.write(`${caught} of ${chosen.length} noticed\n`);
const complete = chosen.length > 0 && outcomes.size === chosen.length;
if (complete && wanted.length === 0)
  writeFileSync(
    join(root, "docs", "cuda-mutations.md"),
    mutationsPage(mutations, (m) => outcomes.get(m)!),
  );
process.exitCode = complete && caught >= 0.95 * chosen.length ? 0 : 1;
