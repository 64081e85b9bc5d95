/** What the tests of TorchScript share. They need the module with libtorch. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Context } from "mocha";
import { torchModulePath } from "../../lib/native/binding.js";

/** Skips a suite where the module has not been built, and says how to get it. */
export function needsTorch(context: Context): void {
  if (existsSync(torchModulePath())) return;
  process.stdout.write(
    "      skipped: needs libtorch (Debian: apt-get install libtorch-dev) and `npm run build:torchscript`\n",
  );
  context.skip();
}

export const demoFile = (name: string): string =>
  fileURLToPath(new URL(`../../models/${name}`, import.meta.url));

/** A file of scripts/fixtures/torch/make.py. */
export const torchFixture = (name: string, extension = "pt"): string =>
  fileURLToPath(new URL(`../fixtures/torch/${name}.${extension}`, import.meta.url));
