/** How far the opening of models is. */
export interface OpeningProgress {
  /**
   * What is opened: "models" while create() or load() tries them; later what a call needs for the first time, such as
   * "images", "conditions", "energy" or "gradient".
   */
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export type OnOpening = (progress: OpeningProgress) => void;

/** Reports the beginning of a stage; the result reports its next step. */
export function openingStage(onOpening: OnOpening | undefined, stage: string, total: number): () => void {
  let done = 0;
  onOpening?.({ stage, done, total });
  return () => onOpening?.({ stage, done: ++done, total });
}
