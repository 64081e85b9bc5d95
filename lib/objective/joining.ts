/** Generator, stages, encoder and what comes behind, joined into pipelines. */
import { latentGraph, latentParts, latentTensors } from "../latent/inputs.js";
import { Pipeline } from "../model/pipeline.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import { elementCount, type Tensor } from "../base/tensor.js";
import type { Assembly } from "./assembly.js";
import { conditionGraph } from "./condition-graph.js";
import type { TriedEncoder } from "./encoder-trial.js";
import type { FlatEnergy } from "./energy.js";
import { energyGraph } from "./energy-graph.js";
import { stagedRanges } from "./expected-range.js";
import { stageGraph } from "./stage-graphs.js";

export class Joining {
  constructor(
    private readonly assembly: Assembly,
    private readonly device: ModelDeviceId,
  ) {}

  /** Latents → images as the generator makes them. */
  async generated(signal?: AbortSignal): Promise<Pipeline> {
    const { generator, generatorBatch, generatorOutput, imageShape, inputs, latent, latentShape } =
      this.assembly;
    const batch = generatorBatch || "batch";
    const pipeline = new Pipeline(batch, latentShape, this.device, signal);
    const split = inputs && {
      graph: latentGraph(batch, latent.dim, inputs),
      names: inputs.map(({ name }) => name),
      row: inputs[0]!.row,
      feeds: ({ data, shape }: Tensor) => latentTensors(data, shape[0]!, inputs),
      ...(inputs.length > 1 || inputs[0]!.label ? { parts: latentParts(inputs) } : {}),
    };
    const output = { output: generatorOutput, row: imageShape, prefix: "generator/", batch: generatorBatch };
    await pipeline.model(generator, { ...output, split });
    return pipeline;
  }

  /** Latents → images as the encoder takes them. */
  async staged(signal?: AbortSignal): Promise<Pipeline> {
    const pipeline = await this.generated(signal);
    await this.appendStages(pipeline);
    return pipeline;
  }

  /** Latents → images [C, H, W]. */
  async plain(signal?: AbortSignal): Promise<Pipeline> {
    const pipeline = await this.generated(signal);
    await this.appendStages(pipeline, 0, this.plainAt);
    return pipeline;
  }

  /** Images as the generator makes them, or with `plain` as [C, H, W] → as the encoder takes them. */
  async stagedImages(signal: AbortSignal, plain = false): Promise<Pipeline> {
    const { encoder, imageShape } = this.assembly;
    const shape = plain ? this.plainShape : imageShape;
    const pipeline = new Pipeline(encoder.batch || "batch", shape, this.device, signal);
    await this.appendStages(pipeline, plain ? this.plainAt : 0);
    return pipeline;
  }

  /** [C, H, W] where {@link plain} ends. */
  get plainShape(): readonly number[] {
    const { chain, imageShape } = this.assembly;
    return chain[this.plainAt - 1]?.to ?? imageShape;
  }

  private get plainAt(): number {
    return this.assembly.pictures.plainAt ?? 0;
  }

  /** Images as the encoder takes them → conditions. */
  async appendCondition(pipeline: Pipeline, tried: TriedEncoder): Promise<void> {
    await this.appendEncoder(pipeline, tried);
    const { encoder, flat } = this.assembly;
    const condition = conditionGraph(pipeline.dims, flat.condition, tried.kind);
    const row = [elementCount(encoder.row)];
    await pipeline.graph(condition, { name: "condition", row, prefix: "condition/" });
  }

  /** Images as the encoder takes them, and a condition → an energy. */
  async appendEnergy(pipeline: Pipeline, flat: FlatEnergy): Promise<void> {
    const { encoder } = this.assembly;
    await this.appendEncoder(pipeline, encoder);
    const energy = energyGraph(flat, pipeline.dims, elementCount(encoder.row), encoder.kind);
    await pipeline.graph(energy, { name: "energy", row: [], prefix: "energy/" });
  }

  private appendEncoder(pipeline: Pipeline, { model, output, row, batch }: TriedEncoder): Promise<void> {
    return pipeline.model(model, { output, row, prefix: "encoder/", batch });
  }

  private async appendStages(pipeline: Pipeline, first = 0, end = Infinity): Promise<void> {
    const { chain, range } = this.assembly;
    const { before } = stagedRanges(
      range,
      chain.map(({ stage }) => stage),
    );
    for (const [index, { stage, to }] of chain.entries()) {
      if (index < first || index >= end) continue;
      const graph = stageGraph(stage, pipeline.dims, before[index]);
      await pipeline.graph(graph, { name: `stage.${stage.kind}`, row: to, prefix: `stage_${index}/` });
    }
  }
}
