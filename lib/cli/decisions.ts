/** What was decided for a command, told as soon as it is by lines on standard error; with --json by `decisions` of the result. */
import { decisionText, type Decision } from "../base/decisions.js";
import type { Progress } from "./progress.js";

/** What the command line calls options. */
const flags: Readonly<Record<string, string>> = {
  device: "--device",
  encoderKind: "--encoder-kind",
  generatorRange: "--generator-range",
  preprocess: '--resize and its like, or "preprocess" in a --config,',
  "textEncoder.output": '"output" of "textEncoder" in a --config',
  pairEncoder: 'another "pairEncoder" in the --config',
};

export class DecisionLog {
  readonly all: Decision[] = [];

  /** @param print a line for people; undefined where machines read */
  constructor(
    private readonly progress: Progress,
    private readonly print: ((text: string) => void) | undefined,
  ) {}

  /** For `onDecision`. A bar that is being drawn ends first. */
  readonly listener = (decision: Decision): void => {
    this.all.push(decision);
    this.progress.stop();
    this.print?.(`tr0n: ${decision.certain ? "" : "warning: "}${textOf(decision)}\n`);
  };

  /** A command's JSON with all of them, those that are not certain among the warnings, too. */
  withDecisions<T extends object>(json: T & { warnings?: readonly string[] }): object {
    const { warnings = [], ...rest } = json;
    const doubtful = this.all.filter(({ certain }) => !certain).map(textOf);
    return { ...rest, warnings: [...warnings, ...doubtful], decisions: this.all };
  }
}

function textOf(decision: Decision): string {
  return decisionText(decision, flags[decision.option] ?? decision.option);
}
