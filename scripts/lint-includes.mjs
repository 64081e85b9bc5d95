/**
 * Which folder of native/ may include which: addon → core → device ← cpu, cuda; addon → bridge → device; everything → base. Core,
 * bridge and addon know devices by device/ alone, whose registry each kind of device enters by itself. Core knows models by
 * core/objective.h, the one file of core that the bridge knows: it implements it.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const native = join(dirname(fileURLToPath(import.meta.url)), "..", "native");
const allowed = {
  base: [],
  device: ["base"],
  core: ["base", "device"],
  cpu: ["base", "device"],
  cuda: ["base", "device", "kernels"],
  kernels: ["base", "device"],
  torch: [],
  bridge: ["base", "device", "core/objective.h", "torch/torch_api.h"],
  addon: ["base", "core", "device", "bridge"],
  emulator: ["cuda/driver_api.h"],
};
/** Nobody but the bridge opens ONNX Runtime, and nobody but torch/ sees libtorch's headers. */
const foreign = [
  [/^(torch|ATen|c10)\//, ["torch"]],
  [/^onnxruntime/, []],
];

/** The rooms of core; core/objective.h is known to all. */
const core = {
  math: [],
  prior: ["math"],
  translator: ["math", "prior"],
  training: ["math", "prior", "translator"],
  sampling: ["math", "prior", "translator"],
};

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
      const [, from] = /^core\/(\w+)\//.exec(`${room}/${file}`) ?? [];
      const [, inner] = /^core\/(\w+)\//.exec(path) ?? [];
      const inside = room === "core" && inner && inner !== from && !(core[from] ?? []).includes(inner);
      if (!own && !other && !inside) continue;
      failed++;
      console.error(`native/${room}/${file}: includes ${path}, which ${room} must not know`);
    }
  }
process.exit(failed > 0 ? 1 : 0);
