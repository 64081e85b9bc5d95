/** Whether an energy can compare what the encoder gives. */
import { energies as kinds } from "./energies/index.js";
import type { FlatEnergy } from "./energy.js";
import { energyGraph } from "./energy-graph.js";
import { graphBarrier } from "../model/gradient-barrier.js";
import type { LoadedModel } from "../model/model.js";
import type { GradientBarrier } from "../model/output-facts.js";
import type { TriedEncoder } from "./encoder-trial.js";

/** Returns what stops a gradient within the energy. */
export function checkEnergyFits(
  flat: FlatEnergy,
  encoder: LoadedModel,
  tried: TriedEncoder,
  size: number,
  kindGiven: boolean,
): GradientBarrier | null {
  const graph = energyGraph(flat, [null, ...tried.row], size, tried.kind);
  for (const { energy } of flat.terms)
    kinds.of(energy).term!.checkFits?.({
      name: encoder.name,
      size,
      kind: tried.kind,
      kindGiven,
      maker: tried.facts.maker,
      conditionKind: flat.condition,
    });
  const stop = graphBarrier(graph, graph.outputs[0]!.name, [graph.inputs[0]!.name]);
  return stop && { ...stop, message: `in the energy ${stop.message}` };
}
