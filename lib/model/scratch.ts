/** A folder for what is too large to hold in memory between two passes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Made when it is first asked for. */
export class Scratch {
  private folder: Promise<string> | undefined;
  private files = 0;

  /** A path at which there is nothing yet. */
  async path(): Promise<string> {
    this.folder ??= mkdtemp(join(tmpdir(), "tr0n-"));
    return join(await this.folder, `${this.files++}.onnx`);
  }

  private async end(): Promise<void> {
    const folder = await this.folder?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  /** What `use` puts there is gone afterwards. */
  static async with<T>(use: (scratch: Scratch) => Promise<T>): Promise<T> {
    const scratch = new Scratch();
    try {
      return await use(scratch);
    } finally {
      await scratch.end();
    }
  }
}
