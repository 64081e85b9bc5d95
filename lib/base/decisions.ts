/** What tr0n decides for itself where no option says it: told once, with the reason and the option that decides otherwise. */
import { stderr } from "node:process";

export interface Decision {
  /** The option that decides otherwise, e.g. "encoderKind". */
  readonly option: string;
  /** What was decided, in words or as the option's value. */
  readonly value: string;
  /** What it was seen by, as the end of "because …". */
  readonly reason: string;
  /** False where another reading is about as likely: then it is a warning. */
  readonly certain: boolean;
}

/** Called with every decision when it is made. */
export type DecisionListener = (decision: Decision) => void;

/** "encoderKind: probabilities, because …", and for an uncertain one what to do: to pass `option`, where it has another name. */
export function decisionText({ option, value, reason, certain }: Decision, name = option): string {
  return `${option}: ${value}, because ${reason}${certain ? "" : `; pass ${name} if that is wrong`}`;
}

/** What listens where nobody does: a line each on standard error, uncertain ones as warnings of the process. */
export function printDecision(decision: Decision): void {
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
