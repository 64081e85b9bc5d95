/** Opening what `tr0n train` wrote. */
import { buildAugmentation } from "../config/build.js";
import type { RunConfig } from "../config/config.js";
import { energyFromSpec } from "../objective/energy.js";
import { needModels, stagesFromSpecs } from "../objective/stages.js";
import { Tr0n } from "../tr0n/tr0n.js";
import type { Arguments } from "./arguments.js";
import type { Context, OptionSpec } from "./command.js";
import { need, type RunModels } from "./models.js";
import { showOpening } from "./progress.js";

export const translatorOption = {
  translator: { type: "string", value: "FILE", help: "what `tr0n train` wrote", required: true },
} as const satisfies Record<string, OptionSpec>;

/** The file's path. @throws UsageError */
export function needTranslator(args: Arguments, run: RunConfig): string {
  return need(args, args.text("translator") ?? run.outputs?.translator, "translator", "outputs.translator");
}

/** @throws FileError ERR_FILE_MISMATCH where a configuration has another energy, or other models as stages, than the file */
export async function loadTr0n(
  path: string,
  run: RunConfig,
  { generator, encoder, textEncoder, mapping }: RunModels,
  { signal, progress, decisions }: Context,
): Promise<Tr0n> {
  const { augment, generatorRange, device, precision, maxBatch, allowFallback, deviceMemory, memory } = run;
  const energy = run.energy && (await energyFromSpec(run.energy));
  // Others are the file's, whatever a configuration says.
  const { preprocess } = run;
  return Tr0n.load(path, {
    generator,
    encoder,
    textEncoder,
    mapping,
    energy,
    preprocess: preprocess && needModels(preprocess) ? await stagesFromSpecs(preprocess) : undefined,
    augment: buildAugmentation(augment),
    generatorRange,
    maxBatch,
    allowFallback,
    deviceMemory,
    memory,
    device,
    precision,
    onOpening: showOpening(progress),
    onDecision: decisions.listener,
    signal,
  });
}
