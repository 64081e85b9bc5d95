/**
 * Tests of models on WebGPU. Where there is no GPU they compute on SwiftShader, the software driver for Vulkan that comes
 * with Debian's Chromium: it shows that results are right, and says nothing about speed. TR0N_TEST_GPU=1 takes the machine's
 * own GPU. Importing this chooses the driver for this process and those that it starts.
 */
import { existsSync } from "node:fs";
import type { NativeSession } from "../../lib/native/types/models.js";
import { mlp } from "./bridge-models.js";
import { addon } from "./bridge.js";

const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

if (!process.env["TR0N_TEST_GPU"] && existsSync(swiftShader)) process.env["VK_ICD_FILENAMES"] = swiftShader;

/** Keeps the device open, and with it the shaders that it has compiled, until the process ends. */
let keeper: NativeSession | undefined;

/** Skips the calling hook's suite, with a line that says why, where WebGPU cannot be used. */
export async function requireWebGpu(context: Mocha.Context): Promise<void> {
  context.timeout(120_000);
  try {
    keeper ??= await addon.openSession(mlp(3, 5, 2), { device: "webgpu" }).promise;
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_DEVICE_UNAVAILABLE") throw error;
    process.stdout.write(
      `      skipped: ${(error as Error).message}; Debian: apt-get install --no-install-recommends chromium libvulkan1\n`,
    );
    context.skip();
  }
}
