import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  energy,
  latent,
  sampler,
  loadModel,
  stage,
  tensor,
  Tr0n,
  type Model,
  type Tr0nOptions,
  type TrainOptions,
} from "../../lib/index.js";
import { readCheckpoint } from "../../lib/training/checkpoint.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { bits, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";

const wrong = (value: unknown) => value as never;

describe("files of a Tr0n", () => {
  let generator: Model;
  let encoder: Model;
  before(async () => {
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder());
  });
  after(() => {
    generator[Symbol.dispose]();
    encoder[Symbol.dispose]();
  });
  const create = (options: Partial<Tr0nOptions> = {}) => Tr0n.create({ generator, encoder, ...options });
  const values = (tr0n: Tr0n): string => bits(tr0n.translator!.native.values());

  describe("save and load", () => {
    it("bring everything back that sampling depends on", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "new", "t.safetensors");
        using saved = await create({
          latent: latent.truncatedNormal(6, 2),
          energy: energy.sum([energy.crossEntropy(), 2], energy.prior(0.5)),
          preprocess: [stage.affine(0.9), stage.clamp()],
          translator: { components: 3, hidden: 7, conditionNoise: { kind: "isotropic", scale: 0.1 } },
          seed: 8,
        });
        await saved.train({ pairs: 300, epochs: 2 });
        await saved.save(path);
        assert.deepEqual(await readdir(join(folder, "new")), ["t.safetensors"], "no temporary file stays");
        using loaded = await Tr0n.load(path, { generator, encoder });
        assert.deepEqual(loaded.energy, saved.energy);
        assert.deepEqual(loaded.report, saved.report);
        assert.deepEqual(loaded.objective.stages, saved.objective.stages);
        assert.deepEqual(loaded.objective.latent, saved.objective.latent);
        assert.equal(loaded.translator!.bound, 2);
        assert.equal(loaded.translator!.components, 3);
        assert.equal(loaded.seed, 8);
        const options = { count: 4, seed: 1 };
        const [a, b] = [
          await saved.sample({ class: [0, 1] }, options),
          await loaded.sample({ class: [0, 1] }, options),
        ];
        assert.equal(bits(a.images.data), bits(b.images.data));
        await loaded.train({ pairs: 300, epochs: 2 });
        assert.equal(values(loaded), values(saved), "training goes on with the same settings");
        const bytes = await readFile(path);
        await loaded.save(path);
        const again = await readFile(path);
        const parts = (file: Uint8Array) =>
          [...decodeSafetensors(file, "file").tensors].map(([k, t]) => [k, bits(t.data)]);
        assert.deepEqual(parts(again), parts(bytes));
      });
    });

    it("names tensors as the paper's code does, and holds no path", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "g.onnx");
        await writeFile(path, tinyGenerator());
        using own = await loadModel(path);
        using tr0n = await create({ generator: own });
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(join(folder, "t.safetensors"));
        const bytes = await readFile(join(folder, "t.safetensors"));
        const file = decodeSafetensors(bytes, "file");
        assert.deepEqual([...file.tensors.keys()].sort(), [
          "shared1.bias",
          "shared1.weight",
          "shared2.bias",
          "shared2.weight",
          "z_layer.bias",
          "z_layer.weight",
          "z_log_stds",
          "z_mixture_logits.bias",
          "z_mixture_logits.weight",
        ]);
        assert.ok(!bytes.includes(folder), "the folder's name");
        assert.equal(JSON.parse(file.metadata.get("config")!).models.generator.name, "g.onnx");
      });
    });

    it("loads the models itself where it gets paths, and disposes of them", async () => {
      await withFolder(async (folder) => {
        const [g, f, t] = ["g.onnx", "f.onnx", "t.safetensors"].map((name) => join(folder, name)) as [
          string,
          string,
          string,
        ];
        await writeFile(g, tinyGenerator());
        await writeFile(f, tinyEncoder());
        using tr0n = await create();
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(t);
        const loaded = await Tr0n.load(t, { generator: g, encoder: f });
        const owned = loaded.objective.generator;
        await loaded.sample({ class: 1 });
        loaded.dispose();
        await rejects(owned.run(tensor(new Float32Array(6), [1, 6])), "ERR_DISPOSED");
        await rejects(
          Tr0n.load(t, { generator: join(folder, "none.onnx"), encoder: f }),
          "ERR_MODEL_NOT_FOUND",
        );
      });
    });

    it("refuse a file for other models, naming both", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        using tr0n = await create();
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(path);
        using other = await loadModel(tinyEncoder({ seed: 77 }));
        const [was, is] = [await encoder.fingerprint(), await other.fingerprint()];
        await rejects(
          Tr0n.load(path, { generator, encoder: other }),
          "ERR_FILE_MISMATCH",
          new RegExp(`encoder .*${was}.*${is}`, "s"),
        );
        await rejects(Tr0n.load(path, { generator: encoder, encoder }), "ERR_FILE_MISMATCH", /generator/);
        await rejects(
          Tr0n.load(path, { generator, encoder, energy: energy.cosine() }),
          "ERR_FILE_MISMATCH",
          /another energy: energy was \{"kind":"crossEntropy"\}/,
        );
        await rejects(Tr0n.load(path, wrong({ generator })), "ERR_INVALID_ARGUMENT", /models.encoder/);
        await rejects(Tr0n.load(path, { generator, encoder, device: "cuda:99" }), "ERR_DEVICE_UNAVAILABLE");
        (await Tr0n.load(path, { generator, encoder, energy: energy.crossEntropy() })).dispose();
      });
    });

    it("refuse damaged files, whatever the damage", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        using tr0n = await create();
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(path);
        const bytes = await readFile(path);
        const sound = decodeSafetensors(bytes, path);
        const load = () => Tr0n.load(path, { generator, encoder });
        for (const length of [0, 4, 100, 2000, bytes.length - 1]) {
          await writeFile(path, bytes.subarray(0, length));
          await rejects(load(), "ERR_FILE_INVALID", /t.safetensors/);
        }
        const change = async (
          tensors: (t: Map<string, ReturnType<typeof tensor>>) => void,
          metadata: (m: Map<string, string>) => void,
          message: RegExp,
        ): Promise<void> => {
          const t = new Map(sound.tensors);
          const m = new Map(sound.metadata);
          tensors(t);
          metadata(m);
          await writeFile(path, encodeSafetensors(t, m));
          await rejects(load(), "ERR_FILE_INVALID", message);
        };
        const none = (): void => undefined;
        const config = JSON.parse(sound.metadata.get("config")!);
        const rewrite = (edit: (c: typeof config) => void) => (m: Map<string, string>) => {
          const copy = structuredClone(config);
          edit(copy);
          m.set("config", JSON.stringify(copy));
        };
        await change(
          (t) => t.set("z_log_stds", tensor([1, 2, Number.NaN, 4, 5, 6], [1, 1, 6])),
          none,
          /NaN at index 2/,
        );
        await change((t) => t.delete("z_layer.bias"), none, /"z_layer.bias", got none/);
        await change(
          (t) => t.set("shared1.weight", tensor(new Float32Array(24), [12, 2])),
          none,
          /do not fit the models: condition was 2, is 3/,
        );
        await change(none, (m) => m.set("format", "pt"), /format "tr0n-translator", got "pt"/);
        await change(none, (m) => m.set("version", "2"), /version 1, got "2"/);
        await change(none, (m) => m.delete("config"), /configuration/);
        await change(none, (m) => m.set("config", "null"), /configuration/);
        await change(none, (m) => m.set("config", "[".repeat(100_000)), /configuration/);
        await change(
          none,
          rewrite((c) => (c.models.latent.dim = -1)),
          /configuration.*dim/,
        );
        await change(
          none,
          rewrite((c) => (c.models.generator.sha256 = "../..")),
          /generator/,
        );
        await change(
          none,
          rewrite((c) => (c.models.preprocess = [{ kind: "eval" }])),
          /preprocess/,
        );
        await change(
          none,
          rewrite((c) => (c.models.energy = { kind: "sum", terms: 3 })),
          /configuration/,
        );
        await change(
          none,
          rewrite((c) => (c.translator.bound = "2")),
          /bound/,
        );
        await change(
          none,
          rewrite((c) => delete c.models),
          /configuration/,
        );
        await rejects(Tr0n.load(join(folder, "none"), { generator, encoder }), "ERR_IO", /no such file/);
        await rejects(Tr0n.load(folder, { generator, encoder }), "ERR_IO", /it is a folder/);
        await rejects(Tr0n.load(wrong(undefined), { generator, encoder }), "ERR_INVALID_ARGUMENT", /path/);
      });
    });

    it("keep what was there when writing fails", async () => {
      await withFolder(async (folder) => {
        using tr0n = await create();
        await tr0n.train({ pairs: 100, epochs: 1 });
        await mkdir(join(folder, "taken", "inside"), { recursive: true });
        await rejects(tr0n.save(join(folder, "taken")), "ERR_IO", /taken: cannot be written/);
        assert.deepEqual(await readdir(folder), ["taken"]);
        await writeFile(join(folder, "file"), "");
        await rejects(
          tr0n.save(join(folder, "file", "t.safetensors")),
          "ERR_IO",
          /part of the path is a file|in the way/,
        );
        await rejects(tr0n.save(wrong(3)), "ERR_INVALID_ARGUMENT", /path/);
        if (process.platform === "linux")
          await rejects(
            tr0n.save("/proc/t.safetensors"),
            "ERR_IO",
            /\/proc\/t.safetensors: cannot be written/,
          );
      });
    });

    it("need the same ONNX energy again", async () => {
      const b = new Builder(emptyGraph("own"));
      const f = b.input("output", DataType.FLOAT, ["N", 3]);
      const difference = b.op("Sub", [f, b.input("condition", DataType.FLOAT, ["N", 3])]);
      b.output("e", b.sum(b.op("Abs", [difference]), [1], false));
      const own = energy.fromOnnx(encodeModel(b.graph));
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        using tr0n = await create({ energy: energy.sum(own, energy.prior()) });
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(path);
        await rejects(
          Tr0n.load(path, { generator, encoder }),
          "ERR_INVALID_ARGUMENT",
          /give the same energy again/,
        );
        await rejects(Tr0n.load(path, { generator, encoder, energy: own }), "ERR_FILE_MISMATCH");
        using loaded = await Tr0n.load(path, { generator, encoder, energy: energy.sum(own, energy.prior()) });
        const condition = tensor([1, 0, 0], [3]);
        const options = { count: 3, seed: 2 };
        assert.equal(
          bits((await loaded.sample(condition, options)).latents.data),
          bits((await tr0n.sample(condition, options)).latents.data),
        );
      });
    });

    it("need stages that are models again, and no others", async () => {
      const b = new Builder(emptyGraph("own"));
      b.output("y", b.op("Sin", [b.input("x", DataType.FLOAT, ["n", 3, 4, 4])]));
      const own = stage.fromOnnx(encodeModel(b.graph));
      const preprocess = [stage.channels([2, 1, 0]), own, stage.pad(1), stage.crop({ height: 4, width: 4 })];
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        using tr0n = await create({ preprocess });
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(path);
        await rejects(
          Tr0n.load(path, { generator, encoder }),
          "ERR_INVALID_ARGUMENT",
          /models.preprocess: .*stage.fromOnnx\(\).*give the same stage again/,
        );
        const other = stage.fromOnnx(Uint8Array.of(1));
        for (const wrong of [[other], [own, stage.pad(1)], []])
          await rejects(Tr0n.load(path, { generator, encoder, preprocess: wrong }), "ERR_FILE_MISMATCH");
        const options = { count: 3, seed: 2, sampler: sampler.mala({ start: "prior", steps: 2 }) };
        const expected = await tr0n.sample({ class: 1 }, options);
        for (const again of [preprocess, [own]]) {
          using loaded = await Tr0n.load(path, { generator, encoder, preprocess: again });
          const { latents, energies } = await loaded.sample({ class: 1 }, options);
          assert.equal(bits(latents.data), bits(expected.latents.data));
          assert.equal(bits(energies), bits(expected.energies));
        }
      });
    });

    it("need the pair encoder again to train, not to sample", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        const pairEncoder = async (images: { shape: readonly number[] }) =>
          tensor(new Float32Array(images.shape[0]! * 3).fill(1 / 3), [images.shape[0]!, 3]);
        using tr0n = await create({ pairEncoder });
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(path);
        using loaded = await Tr0n.load(path, { generator, encoder });
        await loaded.sample({ class: 1 });
        await rejects(loaded.train({ pairs: 100 }), "ERR_INVALID_ARGUMENT", /pairEncoder/);
        using again = await Tr0n.load(path, { generator, encoder, pairEncoder });
        await again.train({ pairs: 100, epochs: 1 });
      });
    });
  });

  describe("checkpoints", () => {
    const settings: TrainOptions = { pairs: 200, epochs: 3, batchSize: 32 };
    /** The translator and report of an uninterrupted run. */
    async function uninterrupted(seed: number, options: TrainOptions = {}) {
      using tr0n = await create();
      const report = await tr0n.train({ ...settings, seed, ...options });
      return { values: values(tr0n), report };
    }

    it("change nothing in the result, and stay at the end", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "c.safetensors");
        const whole = await uninterrupted(4);
        const kept = await uninterrupted(4, { checkpoint: path, checkpointSeconds: 0 });
        assert.equal(kept.values, whole.values);
        assert.equal((await readCheckpoint(path))!.state.step, 18);
        const again = await uninterrupted(4, { checkpoint: path });
        assert.equal(again.values, whole.values);
        assert.deepEqual({ ...again.report, seconds: 0 }, { ...kept.report, seconds: 0 });
      });
    });

    it("continue a killed run bit for bit, on its own seed", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "c.safetensors");
        const child = fileURLToPath(new URL("../support/killed-run.ts", import.meta.url));
        const { signal, stderr } = spawnSync(process.execPath, [
          "--import",
          "tsx",
          child,
          "train",
          path,
          "10",
        ]);
        assert.equal(signal, "SIGKILL", stderr.toString());
        const { seed, state } = (await readCheckpoint(path))!;
        assert.ok(state.step > 6 && state.step <= 10, `killed at step ${state.step}`);
        using tr0n = await create();
        const steps: number[] = [];
        const report = await tr0n.train({
          ...settings,
          checkpoint: path,
          onProgress: (p) => p.phase === "train" && steps.push(p.done),
        });
        assert.equal(report.seed, seed);
        assert.ok(steps[0]! > state.step, "it did not start anew");
        const whole = await uninterrupted(seed);
        assert.equal(values(tr0n), whole.values);
        assert.equal(report.heldOutNll, whole.report.heldOutNll);
        assert.ok(Math.abs(report.trainLoss - whole.report.trainLoss) < 1e-6);
      });
    });

    it("are written when training is aborted", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "c.safetensors");
        using tr0n = await create({ seed: 4 });
        const controller = new AbortController();
        const running = tr0n.train({
          ...settings,
          epochs: 2000,
          checkpoint: path,
          signal: controller.signal,
          onProgress: (p) => p.phase === "train" && p.done > 40 && controller.abort(),
        });
        await rejects(running, "ERR_ABORTED");
        const { step } = (await readCheckpoint(path))!.state;
        assert.ok(step >= 40, `step ${step}`);
        assert.equal(tr0n.translator, null);
      });
    });

    it("of other settings, models or seed are refused and left as they are", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "c.safetensors");
        await uninterrupted(4, { checkpoint: path });
        const before = await readFile(path);
        const train = async (options: TrainOptions, created: Partial<Tr0nOptions> = {}): Promise<void> => {
          using tr0n = await create(created);
          await tr0n.train({ ...settings, checkpoint: path, ...options });
        };
        await rejects(train({ epochs: 4 }), "ERR_FILE_MISMATCH", /epochs was 3, is 4/);
        await rejects(train({ pairs: 300 }), "ERR_FILE_MISMATCH", /pairs was 200, is 300/);
        await rejects(train({ seed: 5 }), "ERR_FILE_MISMATCH", /seed was 4, is 5/);
        await rejects(train({}, { seed: 5 }), "ERR_FILE_MISMATCH", /seed/);
        await rejects(train({}, { translator: { components: 2 } }), "ERR_FILE_MISMATCH", /translator/);
        await rejects(train({}, { energy: energy.cosine() }), "ERR_FILE_MISMATCH", /energy/);
        using other = await loadModel(tinyGenerator({ seed: 8 }));
        await rejects(train({}, { generator: other }), "ERR_FILE_MISMATCH", /generator/);
        assert.ok(before.equals(await readFile(path)));
      });
    });

    it("that are damaged or no checkpoints are refused and left as they are", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "c.safetensors");
        await uninterrupted(4, { checkpoint: path });
        const bytes = await readFile(path);
        const file = decodeSafetensors(bytes, path);
        using tr0n = await create();
        const refused = async (content: Uint8Array, message: RegExp): Promise<void> => {
          await writeFile(path, content);
          await rejects(tr0n.train({ ...settings, checkpoint: path }), "ERR_FILE_INVALID", message);
          assert.ok((await readFile(path)).equals(content));
        };
        await refused(bytes.subarray(0, bytes.length - 8), /safetensors/);
        await refused(Buffer.from("{}"), /at least 8 bytes/);
        const edit = (key: string, value: string): Uint8Array =>
          encodeSafetensors(file.tensors, new Map([...file.metadata, [key, value]]));
        await refused(edit("format", "tr0n-translator"), /format "tr0n-checkpoint", got "tr0n-translator"/);
        await refused(edit("version", "9"), /version/);
        await refused(edit("state", "{}"), /state is not as expected/);
        await refused(edit("state", "["), /not JSON/);
        await refused(encodeSafetensors(new Map(), file.metadata), /"values"/);
        const five = { data: new Float32Array(5), shape: [5] };
        const short = new Map([...file.tensors.keys()].map((name) => [name, five]));
        await refused(encodeSafetensors(short, file.metadata), /expected \d+ parameters, got 5/);
        const state = JSON.parse(file.metadata.get("state")!);
        await refused(edit("state", JSON.stringify({ ...state, step: 1e6 })), /step/);
        const nan = new Map(file.tensors);
        nan.set("first_moment", {
          ...file.tensors.get("first_moment")!,
          data: new Float32Array(file.tensors.get("values")!.data.length).fill(Number.NaN),
        });
        await refused(encodeSafetensors(nan, file.metadata), /first_moment.*NaN/);
      });
    });

    it("that cannot be written stop the training before it begins", async () => {
      await withFolder(async (folder) => {
        await mkdir(join(folder, "taken", "inside"), { recursive: true });
        using tr0n = await create();
        let started = false;
        const options = { ...settings, onProgress: () => (started = true) };
        await rejects(tr0n.train({ ...options, checkpoint: join(folder, "taken") }), "ERR_IO");
        await writeFile(join(folder, "file"), "");
        await rejects(tr0n.train({ ...options, checkpoint: join(folder, "file", "c") }), "ERR_IO");
        assert.ok(!started);
      });
    });
  });
});
