/** `tr0n COMMAND …`: finds the command, runs it, and turns what comes back or is thrown into output and exit code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { packageRoot } from "../native/binding.js";
import { benchCommand } from "./bench.js";
import { helpOf, readLine, type Command, type Result } from "./command.js";
import { DecisionLog } from "./decisions.js";
import { differentiateCommand } from "./differentiate.js";
import { devicesCommand, doctorCommand } from "./doctor.js";
import { UsageError, exitCodes, explain } from "./errors.js";
import { evaluateCommand } from "./evaluate.js";
import { inspectCommand } from "./inspect.js";
import { pairsCommand } from "./pairs.js";
import { Progress } from "./progress.js";
import { sampleCommand } from "./sample.js";
import { trainCommand } from "./train.js";
import { translatorCommand } from "./translator.js";

/** What a run of the program touches; a process, or a test. */
interface Surroundings {
  out(text: string): void;
  error(text: string): void;
  /** Whether `error` goes to a person's terminal. */
  terminal: boolean;
  /** Where SIGINT and SIGTERM come from. */
  signals: Pick<NodeJS.EventEmitter, "on" | "off">;
  /** Ends the process at once, for those who ask twice. */
  exit(code: number): void;
}

const commands: readonly Command[] = [
  devicesCommand,
  doctorCommand,
  inspectCommand,
  differentiateCommand,
  pairsCommand,
  trainCommand,
  translatorCommand,
  sampleCommand,
  evaluateCommand,
  benchCommand,
];

/** Runs one command line; resolves with the exit code and never rejects. */
export async function cli(argv: readonly string[], around: Surroundings): Promise<number> {
  const stop = new AbortController();
  let stoppedBy: "SIGINT" | "SIGTERM" | undefined;
  const onSignal = (signal: "SIGINT" | "SIGTERM"): void => {
    if (stoppedBy) return around.exit(exitOf(stoppedBy));
    stoppedBy = signal;
    stop.abort(new Error(`received ${signal}`));
  };
  around.signals.on("SIGINT", onSignal);
  around.signals.on("SIGTERM", onSignal);
  try {
    const { text, failed } = await run(argv, around, stop.signal);
    around.out(`${text}\n`);
    return failed ? exitCodes.failed : exitCodes.done;
  } catch (error) {
    const { code, message } = stoppedBy
      ? { code: "ERR_ABORTED", message: `stopped by ${stoppedBy}` }
      : explain(error);
    if (argv.includes("--json")) around.out(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
    around.error(`tr0n: ${message} [${code}]\n`);
    if (process.env["TR0N_DEBUG"]) around.error(`${inspect(error)}\n`);
    if (stoppedBy) return exitOf(stoppedBy);
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
  } finally {
    around.signals.off("SIGINT", onSignal);
    around.signals.off("SIGTERM", onSignal);
  }
}

async function run(
  argv: readonly string[],
  around: Surroundings,
  signal: AbortSignal,
): Promise<{ text: string; failed?: boolean }> {
  const [name] = argv;
  if (name === "--help" || name === "-h" || name === "help") return { text: programHelp() };
  if (name === "--version") return { text: version() };
  if (name === undefined) throw new UsageError("a command is missing");
  const command = commands.find((candidate) => candidate.name === name);
  if (!command)
    throw new UsageError(
      `there is no ${name.startsWith("-") ? "option" : "command"} ${JSON.stringify(name)}`,
    );
  const args = readLine(command, argv.slice(1));
  if (args.flag("help")) return { text: helpOf(command) };
  const progress = await Progress.create(around.terminal && !args.flag("json"));
  let result: Result;
  try {
    const decisions = new DecisionLog(progress, args.flag("json") ? undefined : (text) => around.error(text));
    result = await command.run(args, { signal, progress, decisions });
  } finally {
    progress.stop();
  }
  const text = args.flag("json") ? JSON.stringify(result.json, null, 2) : result.text;
  return { text, failed: result.failed };
}

function programHelp(): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    "Usage: tr0n COMMAND [options]",
    "",
    "Makes a frozen, unconditional generator obey a condition.",
    "",
    "Commands:",
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    "tr0n COMMAND --help shows a command's options. tr0n --version shows the version.",
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted.",
  ].join("\n");
}

function version(): string {
  const manifest = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  return manifest.version;
}

function exitOf(signal: "SIGINT" | "SIGTERM"): number {
  return signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
}
