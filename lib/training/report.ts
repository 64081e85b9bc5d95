/** What training tells: progress, the report, and its warnings. */
import type { Decision } from "../base/decisions.js";
import type { PilotReport } from "./pilot.js";

/** First pairs are made or read, then the steps run. */
export type TrainProgress =
  | { readonly phase: "pairs"; readonly done: number; readonly total: number }
  | {
      readonly phase: "train";
      /** Steps. */
      readonly done: number;
      readonly total: number;
      /** From 1. */
      readonly epoch: number;
      readonly epochs: number;
      /** Mean over the steps since the last report. */
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      /** Of the pairs held out, after the last whole epoch; null before the first. */
      readonly heldOutLoss: number | null;
    };

export interface TrainReport {
  /** All pairs, those held out included. */
  readonly pairs: number;
  /** Pairs held out. */
  readonly heldOut: number;
  readonly loss: "nll" | "mse" | "cosine";
  /** Epochs that were run: fewer than asked for where training `stopped` early. */
  readonly epochs: number;
  readonly steps: number;
  /** The epoch, from 1, whose translator was kept: that of the smallest held-out loss. */
  readonly bestEpoch: number;
  /** Whether `patience` ended the training. */
  readonly stopped: boolean;
  /** Mean loss of the pairs held out, of the translator that was kept: nats, a squared error or −cos, without alpha; with
   * an auxiliary head alpha times that plus y's squared error. */
  readonly heldOutLoss: number;
  /** The same after each epoch. */
  readonly validation: readonly number[];
  /** Of all runs, where a checkpoint was continued. */
  readonly seconds: number;
  /** Mean loss of the last epoch: alpha times nats a pair, plus the squared error of an auxiliary head. */
  readonly trainLoss: number;
  /**
   * Mean −log q(z|c) of the pairs held out, in nats; NaN for a deterministic translator, which has no density. With an
   * auxiliary head z are the other groups' numbers, here and in `priorEntropy`.
   */
  readonly heldOutNll: number;
  /** Mean squared error of the auxiliary head on the pairs held out; NaN without one. */
  readonly heldOutAuxiliary: number;
  /** Entropy of the prior, in nats. */
  readonly priorEntropy: number;
  /** heldOutNll − priorEntropy, or NaN. Below 0 the translator knows more about z than the prior does. */
  readonly gap: number;
  /** MALA's step sizes for this translator by fidelity, which samplers take by default, and what finding them took. */
  readonly pilot: PilotReport;
  readonly warnings: readonly string[];
  /** What was decided where no option said it, as {@link Tr0n.decisions}. */
  readonly decisions: readonly Decision[];
  readonly seed: number;
}
const recommendedPairs = 20_000;

export function trainingWarnings(pairs: number, gap: number): string[] {
  const list: string[] = [];
  if (gap >= 0)
    list.push(
      `the translator's held-out negative log-likelihood is ${gap.toFixed(2)} nats above the prior's entropy: it knows less ` +
        'about latents than the prior does. Train on more pairs or for more epochs, with preset "recommended"',
    );
  if (pairs < recommendedPairs)
    list.push(`${pairs} pairs are few: ${recommendedPairs.toLocaleString("en")} or more are recommended`);
  return list;
}
