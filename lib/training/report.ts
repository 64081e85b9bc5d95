/** What training tells: progress, the report, and its warnings. */
import type { Decision } from "../base/decisions.js";
import type { PilotReport } from "./pilot.js";

/** Progress of a training: first pairs are made or read, then steps run. */
export type TrainProgress =
  | { readonly phase: "pairs"; readonly done: number; readonly total: number }
  | {
      readonly phase: "train";
      /** Steps done. */
      readonly done: number;
      readonly total: number;
      /** The present epoch, from 1. */
      readonly epoch: number;
      readonly epochs: number;
      /** Mean over the steps since the last report. */
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      /** Loss of the held-out pairs after the last whole epoch; null before the first one ends. */
      readonly heldOutLoss: number | null;
    };

/** The result of train(). */
export interface TrainReport {
  /** All pairs, the held-out ones included. */
  readonly pairs: number;
  /** Held-out pairs. */
  readonly heldOut: number;
  readonly loss: "nll" | "mse" | "cosine";
  /** Epochs that were run: fewer than the option where training `stopped` early. */
  readonly epochs: number;
  readonly steps: number;
  /** The epoch, from 1, whose translator was kept: the one with the smallest held-out loss. */
  readonly bestEpoch: number;
  /** Whether `patience` ended the training. */
  readonly stopped: boolean;
  /**
   * Mean loss on held-out pairs of the translator that was kept: nats, a squared error or −cos, without alpha. With an
   * auxiliary head it is alpha times that, plus the squared error of y.
   */
  readonly heldOutLoss: number;
  /** The held-out loss after each epoch. */
  readonly validation: readonly number[];
  /** Time of the training; of all runs together where a checkpoint was continued. */
  readonly seconds: number;
  /** Mean training loss of the last epoch: alpha times the nats of a pair, plus the squared error of an auxiliary head. */
  readonly trainLoss: number;
  /**
   * Mean −log q(z|c) of held-out pairs, in nats; NaN for a deterministic translator, which has no density. With an
   * auxiliary head, z means the numbers of the other groups, here and in `priorEntropy`.
   */
  readonly heldOutNll: number;
  /** Mean squared error of the auxiliary head on held-out pairs; NaN without such a head. */
  readonly heldOutAuxiliary: number;
  /** Entropy of the prior, in nats. */
  readonly priorEntropy: number;
  /** heldOutNll − priorEntropy, or NaN. Below 0 the translator knows more about z than the prior does. */
  readonly gap: number;
  /** MALA's step sizes for this translator by fidelity, which samplers take by default, and the cost of finding them. */
  readonly pilot: PilotReport;
  readonly warnings: readonly string[];
  /** What tr0n decided because no option says it; see {@link Tr0n.decisions}. */
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
