/** What a command is, and how its line is read: node:util's parseArgs, plus help made from the same table. */
import { parseArgs } from "node:util";
import type { FlagSpec } from "../options/flags.js";
import { Arguments } from "./arguments.js";
import { UsageError } from "./errors.js";
import type { DecisionLog } from "./decisions.js";
import type { Progress } from "./progress.js";

export type OptionSpec = FlagSpec;

export interface Context {
  /** Fires at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Takes down what is decided, and tells it. */
  readonly decisions: DecisionLog;
}

/** What a command has to say: `json` with --json, else `text`. */
export interface Result {
  readonly json: unknown;
  readonly text: string;
  /** It ran to its end and has something to say, but that is not good news: exit code 1. */
  readonly failed?: boolean;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands after the name in the usage line. */
  readonly usage: string;
  /** Names of the positional arguments, all required. */
  readonly positionals?: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Paragraphs and examples under the options. */
  readonly notes?: string;
  run(args: Arguments, context: Context): Promise<Result>;
}

/** Options that every command has. */
const common: Record<string, OptionSpec> = {
  json: { type: "boolean", help: "print one JSON object instead of text" },
  help: { type: "boolean", short: "h", help: "show this help" },
};

/** @throws UsageError naming the option or argument. */
export function readLine(command: Command, argv: readonly string[]): Arguments {
  const options: Record<string, { type: "string" | "boolean"; short?: string; multiple?: boolean }> = {};
  for (const [name, { type, short, multiple = false }] of Object.entries({ ...command.options, ...common }))
    options[name] = { type, multiple, ...(short ? { short } : {}) };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(
      (error as Error).message.split("\n")[0]!.replace(/\. To specify.*$/, ""),
      command.name,
    );
  }
  const { values, positionals } = parsed;
  const args = new Arguments(command.name, values, positionals);
  if (args.flag("help")) return args;
  const names = command.positionals ?? [];
  if (positionals.length < names.length)
    throw new UsageError(`${names[positionals.length]!} is missing`, command.name);
  if (positionals.length > names.length)
    throw new UsageError(`unexpected argument ${JSON.stringify(positionals[names.length])}`, command.name);
  for (const [name, spec] of Object.entries(command.options))
    if (spec.required && values[name] === undefined && values["config"] === undefined)
      throw new UsageError(`--${name} is missing`, command.name);
  return args;
}

export function helpOf(command: Command): string {
  const rows = Object.entries({ ...command.options, ...common }).map(([name, spec]): [string, string] => [
    `${spec.short ? `-${spec.short}, ` : "    "}--${name}${spec.type === "string" ? ` ${spec.value ?? "VALUE"}` : ""}`,
    spec.help + (spec.required ? " (required)" : ""),
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    `Usage: tr0n ${command.name} ${command.usage}`.trimEnd(),
    "",
    command.summary,
    "",
    "Options:",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    ...(command.notes ? ["", command.notes.trim()] : []),
  ].join("\n");
}
