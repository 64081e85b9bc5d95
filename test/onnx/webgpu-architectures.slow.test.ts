/**
 * Whole architectures on WebGPU: outputs and gradients are the CPU's, and no node falls to the CPU. A machine without a GPU
 * computes on SwiftShader, a software driver for Vulkan: that shows that results are right, and nothing about speed.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { InferenceSession } from "onnxruntime-node";
import { differentiateSimplified } from "../../lib/model/differentiate.js";
import { augmentation } from "../../lib/index.js";
import { augmentGraph, augmentationParameters } from "../../lib/objective/augment.js";
import { decodeModel, differentiateGraph, encodeModel, type Graph } from "../../lib/onnx/index.js";
import { tabledPlacement } from "../../lib/onnx/targets/placement.js";
import { webgpuKernels } from "../../lib/onnx/targets/webgpu-kernels.js";
import { measured } from "../../scripts/operators/webgpu.js";
import { assertRelative, run, runGraph, unpack, type Expected, type Feed } from "../support/operators.js";

const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

describe("onnx: graphs for WebGPU", function () {
  this.timeout(600_000);

  before(function () {
    if (process.env["TR0N_TEST_GPU"]) return;
    if (existsSync(swiftShader)) process.env["VK_ICD_FILENAMES"] = swiftShader;
    else {
      process.stdout.write(
        "      skipped: needs a Vulkan driver; Debian: apt-get install --no-install-recommends chromium libvulkan1\n",
      );
      this.skip();
    }
  });

  /**
   * The form for WebGPU on it, with no node left to the CPU, against the CPU's form on the CPU.
   *
   * @param turns whether the runtime, changing layouts, turns masks of a max pool, for which WebGPU has no kernel: these
   *   transpositions are on the CPU
   */
  async function check(
    name: string,
    plain: Graph,
    formed: Graph,
    feeds: Record<string, Feed>,
    turns = false,
  ): Promise<void> {
    const { onCpu, failing } = tabledPlacement(formed, "webgpu");
    assert.deepEqual([onCpu, failing], [[], []]);
    const expected = await runGraph(plain, feeds);
    const gpu = await InferenceSession.create(encodeModel(formed), {
      executionProviders: ["webgpu"],
      logSeverityLevel: 4,
      extra: turns ? {} : { session: { disable_cpu_ep_fallback: "1" } },
    });
    try {
      const got = await run(gpu, feeds);
      for (const [output, { dims, data }] of Object.entries(expected)) {
        assert.deepEqual([...got[output]!.dims], [...dims]);
        assertRelative(got[output]!.data, data, 1e-4, `${name}: ${output}`);
      }
    } finally {
      await gpu.release();
    }
  }

  const folder = new URL("../fixtures/architectures/", import.meta.url);
  for (const name of ["dcgan", "stylegan2", "biggan", "nvae", "clip_vit", "clip_resnet"])
    it(`${name}: outputs and gradients as the CPU's`, async () => {
      const graph = decodeModel(readFileSync(new URL(`${name}.onnx`, folder)), name);
      const text = readFileSync(new URL(`${name}.json`, folder), "utf8");
      const expected = JSON.parse(text) as Expected & { dynamic: boolean };
      const feeds: Record<string, Feed> = { grad_output: unpack(expected.seed) };
      for (const [key, value] of Object.entries(expected.inputs)) feeds[key] = unpack(value);
      // With a free batch the runtime computes shapes on the CPU, which the session of this test would refuse, too.
      const batch = expected.dynamic ? expected.seed.dims[0]! : undefined;
      const [plain, formed] = await Promise.all(
        (["cpu", "webgpu"] as const).map((target) =>
          differentiateSimplified(graph, { target }, { name, simplify: true, batch }),
        ),
      );
      await check(name, plain!.graph, formed!.graph, feeds, name === "biggan");
    });

  it("augmentations: images and gradients as the CPU's", async () => {
    interface Case {
      name: string;
      policy: string[];
      shape: number[];
      image: number[];
      cotangent: number[];
      parameters: number[];
    }
    const file = new URL("../fixtures/augment/augment.json", import.meta.url);
    const cases = JSON.parse(readFileSync(file, "utf8")) as Case[];
    const all = cases.find(({ policy }) => policy.length === Math.max(...cases.map((c) => c.policy.length)))!;
    const graph = augmentGraph(augmentation.policy(), all.shape.slice(1));
    const options = { wrt: ["image"], outputs: ["augmented"] };
    await check(
      all.name,
      differentiateGraph(graph, options),
      differentiateGraph(graph, { ...options, target: "webgpu" }),
      {
        image: { dims: all.shape, data: all.image },
        parameters: { dims: [all.shape[0]!, augmentationParameters.length], data: all.parameters },
        grad_augmented: { dims: all.shape, data: all.cotangent },
      },
    );
  });

  it("choose by a table of kernels that is what the runtime says", async () => {
    const { operators, forms } = await measured();
    assert.deepEqual(operators, webgpuKernels.operators);
    const recorded = new URL("../../scripts/operators/webgpu-forms.json", import.meta.url);
    assert.deepEqual(forms, JSON.parse(readFileSync(recorded, "utf8")));
  });
});
