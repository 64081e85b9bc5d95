import type { SingleBar } from "cli-progress";
import type { OnOpening } from "../base/opening.js";

/** What shows how far the opening of models is. */
export function showOpening(progress: Progress): OnOpening {
  return ({ stage, done, total }) => progress.update(`opening ${stage}`, done, total);
}

/** Shows how far a command is: a bar on a terminal, nothing anywhere else. */
export class Progress {
  private bar: SingleBar | undefined;
  private label = "";

  private constructor(private readonly newBar: ((label: string) => SingleBar) | undefined) {}

  /** `enabled`: whether standard error is a terminal and the reader a person. */
  static async create(enabled: boolean): Promise<Progress> {
    if (!enabled) return new Progress(undefined);
    const { SingleBar, Presets } = (await import("cli-progress")).default;
    const options = { stream: process.stderr, barsize: 30, fps: 8, hideCursor: true };
    const format = (label: string): string =>
      `${label.padEnd(16)} {bar} {percentage}% | {value}/{total} | {duration_formatted} {note}`;
    return new Progress(
      (label) => new SingleBar({ ...options, format: format(label) }, Presets.shades_classic),
    );
  }

  /** Draws `label` at done/total; another label ends the bar before. `note` stands at the end of the line. */
  update(label: string, done: number, total: number, note = ""): void {
    if (!this.newBar) return;
    if (!this.bar || this.label !== label) {
      this.stop();
      this.label = label;
      this.bar = this.newBar(label);
      this.bar.start(total, done, { note });
      return;
    }
    this.bar.setTotal(total);
    this.bar.update(done, { note });
  }

  /** Ends the bar, so that other text can be printed. */
  stop(): void {
    this.bar?.stop();
    this.bar = undefined;
  }
}
