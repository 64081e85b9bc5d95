/** A saved Tr0n, read and joined with its models again. */
import { checkPath } from "../base/check.js";
import { basename } from "node:path";
import { check } from "../options/check.js";
import { reason } from "../base/atomic-write.js";
import { FileError, ArgumentError, invalid } from "../base/errors.js";
import { readWholeFile } from "../base/read-file.js";
import { restoreLatent, type Mappings } from "../latent/description.js";
import type { Model } from "../model/interface.js";
import { decodeTranslatorFile, restoredEnergy, restoredRange, restoredStages } from "./file.js";
import { Decisions } from "../base/decisions.js";
import { usedEncoder, usedGenerator } from "../objective/used-part.js";
import type { Objective } from "../objective/objective.js";
import { createObjective } from "../objective/composition-options.js";
import type { NativeDevice } from "../native/types/devices.js";
import { openDevice } from "../native/devices.js";
import { native } from "../native/binding.js";
import { ModelsLoader, loadedModel } from "../model/model.js";
import { checkCompute, loadModels, type LoadModels } from "./options.js";
import { State } from "./state.js";

/** @throws as Tr0n.load */
export async function loadState(path: string, models: LoadModels): Promise<State> {
  checkPath("path", path);
  const o = check(loadModels, models, { name: "models", prefix: "models." });
  const loader = new ModelsLoader(o);
  const { compute, placed } = await checkCompute("models.", o);
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(path, o.signal);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const { config, tables, tensors } = decodeTranslatorFile(bytes, path);
  const energy = restoredEnergy(config.models.energy, o.energy, path);
  const preprocess = restoredStages(config.models.preprocess, o.preprocess, path);
  native().learnBlockRules(config.blocks);
  const generatorRange = restoredRange(config.models, o.generatorRange, path);
  const owned: Model[] = [];
  const open = async (name: string, model: Model | string): Promise<Model> => {
    if (typeof model !== "string") return loadedModel(name, model);
    const loaded = await loader.load(model, { signal: o.signal });
    owned.push(loaded);
    return loaded;
  };
  let objective: Objective | undefined;
  let opened: NativeDevice | undefined;
  try {
    const mappings = await openMappings(o.mapping, open);
    const latent = await restoreLatent(config.models.latent, tables, mappings, path);
    const [whole, wholeEncoder] = [
      loadedModel("models.generator", await open("models.generator", o.generator)),
      loadedModel("models.encoder", await open("models.encoder", o.encoder)),
    ];
    const outputs = {
      generator: config.models.generator.output ?? undefined,
      encoder: config.models.encoder.output ?? undefined,
    };
    const decisions = new Decisions(o.onDecision);
    const generator = await usedGenerator(whole, outputs.generator, latent, decisions, o.signal);
    const { model: encoder } = await usedEncoder(
      "encoder",
      wholeEncoder,
      outputs.encoder,
      decisions,
      o.signal,
    );
    for (const [role, model] of [
      ["generator", generator],
      ["encoder", encoder],
    ] as const) {
      const sha256 = await model.fingerprint();
      const stored = config.models[role];
      if (sha256 !== stored.sha256)
        throw new FileError(
          "ERR_FILE_MISMATCH",
          `${path}: it belongs to the ${role} ${stored.name} (SHA-256 ${stored.sha256}), not to ${model.name} (SHA-256 ${sha256})` +
            (basename(model.name) === stored.name
              ? "; where that was loaded with the options inputs or output, load it with the same"
              : ""),
        );
    }
    for (const option of loader.unused)
      throw new ArgumentError(
        `models.${option}: none of the models is given as a path to ${option === "allowCode" ? "TorchScript" : "ONNX"}`,
      );
    objective = await createObjective(
      {
        generator,
        encoder,
        generatorOutput: outputs.generator,
        encoderOutput: outputs.encoder,
        generatorRange,
        encoderKind: config.models.encoderKind,
        latent,
        energy,
        preprocess,
        augment: o.augment === undefined ? config.models.augment : (o.augment ?? undefined),
        pairEncoder: o.pairEncoder,
        maxBatch: o.maxBatch,
        allowFallback: o.allowFallback,
        deviceMemory: o.deviceMemory,
        memory: o.memory,
        onOpening: o.onOpening,
        onDecision: o.onDecision,
      },
      o.signal,
      {
        former: config.models.generatorRange === undefined,
        pairEncoderKind: config.models.pairEncoderKind,
      },
      placed,
    );
    opened = await openDevice(compute.device, o.signal);
    const { translator, spread } = await tensors(objective, compute, o.signal);
    const { seed, fixedSeed, translator: settings } = config;
    const state = new State({
      objective,
      settings,
      seed,
      fixedSeed,
      compute,
      textEncoder: o.textEncoder,
      opened,
    });
    state.translator = translator;
    state.spread = spread;
    state.report = config.training;
    state.owned.push(...owned);
    state.missingPairEncoder = config.models.pairEncoder !== null && o.pairEncoder === undefined;
    return state;
  } catch (error) {
    objective?.dispose();
    opened?.dispose();
    for (const model of owned) model[Symbol.dispose]();
    throw error;
  }
}

async function openMappings(
  given: LoadModels["mapping"],
  open: (name: string, model: Model | string) => Promise<Model>,
): Promise<Mappings> {
  if (given === undefined) return undefined;
  if (typeof given === "string" || (given !== null && typeof given === "object" && "run" in given))
    return open("models.mapping", given as Model | string);
  if (given === null || typeof given !== "object")
    throw invalid("models.mapping", "a Model, a path, or these by the generator's inputs", given);
  const opened: Record<string, Model> = {};
  for (const [name, model] of Object.entries(given))
    opened[name] = await open(`models.mapping.${name}`, model);
  return opened;
}
