/** Whether an energy can compare what the encoder gives. */
import type { FlatEnergy } from "./energy.js";
import { ArgumentError } from "../base/errors.js";
import { energyGraph } from "./energy-graph.js";
import { graphBarrier } from "../model/gradient-barrier.js";
import type { LoadedModel } from "../model/model.js";
import type { GradientBarrier } from "../model/output-facts.js";
import type { TriedEncoder } from "./encoder-trial.js";

export function hasCrossEntropy({ terms }: FlatEnergy): boolean {
  return terms.some((term) => term.energy.kind === "crossEntropy");
}

/** Returns what stops a gradient within the energy. */
export function checkEnergyFits(
  flat: FlatEnergy,
  encoder: LoadedModel,
  tried: TriedEncoder,
  size: number,
  kindGiven: boolean,
): GradientBarrier | null {
  const graph = energyGraph(flat, [null, ...tried.row], size, tried.kind);
  if (size < 2 && flat.condition === "unit")
    throw new ArgumentError(
      `energy: cosine() compares directions, but ${encoder.name} gives 1 number, which has none but its sign; use ` +
        "energy.squaredError()",
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (hasCrossEntropy(flat)) {
    if (size < 2)
      throw new ArgumentError(
        `energy: crossEntropy() needs an encoder with two classes or more, got ${size} number in ${encoder.name}; use squaredError() for a single number, or export a probability p as [1 − p, p]`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    if (tried.facts.maker === "Sigmoid" && tried.kind === "logits" && !kindGiven)
      throw new ArgumentError(
        `energy: crossEntropy() needs scores or probabilities of classes that exclude each other, but ${encoder.name} ends in ` +
          "Sigmoid, and its rows do not sum to 1; use squaredError(), or energy.fromOnnx() with a binary cross-entropy",
      );
  }
  const stop = graphBarrier(graph, graph.outputs[0]!.name, [graph.inputs[0]!.name]);
  return stop && { ...stop, message: `in the energy ${stop.message}` };
}
