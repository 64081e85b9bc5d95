/** Which folder of native/ may include which: a device is known to core by core/device.h alone. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const native = join(dirname(fileURLToPath(import.meta.url)), "..", "native");
const allowed = {
  core: [],
  cpu: ["core"],
  cuda: ["core", "kernels"],
  kernels: ["core"],
  torch: [],
  bridge: ["core", "torch/torch_api.h"],
  addon: ["core", "bridge", "cuda"],
};
/** Nobody but the bridge opens ONNX Runtime, and nobody but torch/ sees libtorch's headers. */
const foreign = [
  [/^(torch|ATen|c10)\//, ["torch"]],
  [/^onnxruntime/, []],
];

let failed = 0;
for (const room of Object.keys(allowed))
  for (const file of readdirSync(join(native, room), { recursive: true })) {
    if (!/\.(h|cpp|cu|cuh)$/.test(file) || /(^|\/)tests\//.test(file)) continue;
    const text = readFileSync(join(native, room, file), "utf8");
    for (const [, path] of text.matchAll(/^#include [<"]([^>"]+)[>"]/gm)) {
      const to = path.split("/")[0];
      const own =
        to in allowed && path.includes("/") && to !== room && !path.startsWith("torch/csrc")
          ? !allowed[room].some((name) => path === name || path.startsWith(`${name}/`))
          : false;
      const other = foreign.some(
        ([pattern, rooms]) => pattern.test(path) && path !== "torch/torch_api.h" && !rooms.includes(room),
      );
      if (!own && !other) continue;
      failed++;
      console.error(`native/${room}/${file}: includes ${path}, which ${room} must not know`);
    }
  }
process.exit(failed > 0 ? 1 : 0);
