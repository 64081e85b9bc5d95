/** What tr0n decides where no option says it. Each decision is told once, with its reason and the option that overrides it. */
import { stderr } from "node:process";

/** Something about the models that tr0n decided because no option says it. */
export interface Decision {
  /** The option that overrides the decision, e.g. "encoderKind". */
  readonly option: string;
  /** What was decided: the option's value, or words. */
  readonly value: string;
  /** Why, as the end of a sentence that begins with "because". */
  readonly reason: string;
  /** False where another value is about as likely; the decision is then told as a warning. */
  readonly certain: boolean;
}

/** A function that is called with each decision when it is made. */
export type DecisionListener = (decision: Decision) => void;

/**
 * A decision as one line: "encoderKind: probabilities, because …". The line of an uncertain decision says which option to
 * pass; `name` is that option's name where it differs, such as a command line's.
 */
export function decisionText({ option, value, reason, certain }: Decision, name = option): string {
  return `${option}: ${value}, because ${reason}${certain ? "" : `; pass ${name} if that is wrong`}`;
}

/** The default listener: a line on standard error for each decision, a warning of the process for an uncertain one. */
function printDecision(decision: Decision): void {
  if (decision.certain) stderr.write(`tr0n: ${decisionText(decision)}\n`);
  else process.emitWarning(decisionText(decision), "Tr0nWarning");
}

/** The decisions of one Tr0n, in their order. */
export class Decisions {
  private readonly made: Decision[] = [];

  constructor(private readonly listener: DecisionListener = printDecision) {}

  add(decision: Decision): void {
    this.made.push(decision);
    this.listener(decision);
  }

  get all(): readonly Decision[] {
    return this.made;
  }
}
