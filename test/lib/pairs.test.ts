import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  energy,
  generatePairs,
  loadModel,
  tensor,
  Tr0n,
  Translator,
  type Model,
  type PairsOptions,
} from "../../lib/index.js";
import { decodeSafetensors } from "../../lib/base/safetensors.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

describe("generatePairs", () => {
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
  const make = (folder: string, options: Partial<PairsOptions> = {}) =>
    generatePairs({ generator, encoder, folder, count: 100, shardSize: 32, seed: 5, ...options });
  const contents = async (folder: string): Promise<Record<string, string>> =>
    Object.fromEntries(
      await Promise.all(
        (await readdir(folder))
          .sort()
          .map(async (file) => [file, (await readFile(join(folder, file))).toString("hex")]),
      ),
    );
  const files = [
    "manifest.json",
    "pairs-00000.safetensors",
    "pairs-00001.safetensors",
    "pairs-00002.safetensors",
    "pairs-00003.safetensors",
  ];

  it("writes what it says: latents of the prior, and the encoder's conditions of their images", async () => {
    await withFolder(async (folder) => {
      const seen: number[] = [];
      const report = await make(join(folder, "new", "pairs"), { onProgress: (p) => seen.push(p.done) });
      assert.deepEqual([report.count, report.generated, report.repaired, report.seed], [100, 100, [], 5]);
      assert.deepEqual(seen.filter((done) => done === 32 || done === 100).slice(-1), [100]);
      assert.ok(seen.every((done, i) => i === 0 || done >= seen[i - 1]!));
      assert.deepEqual(await readdir(join(folder, "new", "pairs")), files);
      const path = join(folder, "new", "pairs", files[1]!);
      const { tensors } = decodeSafetensors(await readFile(path), path);
      assert.deepEqual(
        [tensors.get("z")!.shape, tensors.get("c")!.shape],
        [
          [32, 6],
          [32, 3],
        ],
      );
      using tr0n = await Tr0n.create({ generator, encoder });
      assert.equal(bits((await tr0n.encode(tensors.get("z")!)).data), bits(tensors.get("c")!.data));
      const { logits } = await encoder.run(await tr0n.generate(tensors.get("z")!));
      const p = Array.from(logits!.data.slice(0, 3), Math.exp);
      close(
        tensors.get("c")!.data.slice(0, 3),
        p.map((x) => x / p.reduce((a, b) => a + b)),
        1e-6,
      );
    });
  });

  it("serves train(), with the same result as pairs that train() makes itself", async () => {
    await withFolder(async (folder) => {
      await make(folder, { count: 200 });
      using tr0n = await Tr0n.create({ generator, encoder });
      const options = { epochs: 2, batchSize: 32, seed: 5 };
      const report = await tr0n.train({ ...options, pairs: folder });
      assert.equal(report.pairs, 200);
      const fromFolder = bits(tr0n.translator!.native.values());
      await tr0n.train({ ...options, pairs: 200 });
      assert.equal(bits(tr0n.translator!.native.values()), fromFolder);
      // And as a loop of one's own over the first nine tenths, on labels drawn from the class probabilities.
      const parts = await Promise.all(
        [0, 1, 2, 3, 4, 5, 6].map(async (i) => {
          const file = `pairs-0000${i}.safetensors`;
          return decodeSafetensors(await readFile(join(folder, file)), file).tensors;
        }),
      );
      const column = (name: string, size: number) =>
        tensor(parts.flatMap((part) => [...part.get(name)!.data]).slice(0, 180 * size), [180, size]);
      using own = new Translator({ condition: 3, latent: 6, seed: 5 });
      using trainer = own.trainer({ ...options, z: column("z", 6), c: column("c", 3), sampleLabels: true });
      await trainer.run();
      assert.equal(bits(own.native.values()), fromFolder);
      // The models' names do not matter, their bytes do.
      await writeFile(join(folder, "g.onnx"), tinyGenerator());
      using renamed = await loadModel(join(folder, "g.onnx"));
      using other = await Tr0n.create({ generator: renamed, encoder });
      await other.train({ ...options, pairs: folder });
      assert.equal(bits(other.translator!.native.values()), fromFolder);
    });
  });

  it("goes on with folders of former versions, unless they took the encoder's output for something else", async () => {
    await withFolder(async (folder) => {
      /** The manifest as a version before kinds wrote it. */
      const former = async (): Promise<void> => {
        const path = join(folder, "manifest.json");
        const manifest = JSON.parse(await readFile(path, "utf8")) as { settings: Record<string, unknown> };
        assert.equal(typeof manifest.settings["encoderKind"], "string");
        delete manifest.settings["encoderKind"];
        await writeFile(path, JSON.stringify(manifest));
      };
      for (const last of [undefined, "Softmax", "LogSoftmax"] as const) {
        using own = await loadModel(tinyEncoder({ last }));
        await make(folder, { encoder: own, count: 50 });
        await former(); // and it stays so
        assert.equal((await make(folder, { encoder: own })).generated, 68);
        using tr0n = await Tr0n.create({ generator, encoder: own });
        await tr0n.train({ pairs: folder, epochs: 1 });
        await rm(folder, { recursive: true });
      }
      // [1 − p, p] got a softmax: those pairs are others.
      const b = new Builder(emptyGraph("two"));
      const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 3, 4, 4])], { axis: 1 });
      const p = b.op("Sigmoid", [b.op("MatMul", [x, b.constant(numbers(1, 48), [48, 1], DataType.FLOAT)])]);
      b.output("probabilities", b.op("Concat", [b.op("Sub", [b.scalar(1, p), p]), p], { axis: 1 }));
      b.graph.outputs[0]!.dims = ["batch", 2];
      using own = await loadModel(encodeModel(b.graph));
      await make(folder, { encoder: own });
      await former();
      await rejects(
        make(folder, { encoder: own }),
        "ERR_FILE_MISMATCH",
        /encoderKind was "logits", is "probabilities"/,
      );
    });
  });

  it("goes on after being killed, with the same files as an uninterrupted run", async () => {
    await withFolder(async (folder) => {
      await make(join(folder, "whole"));
      const killed = join(folder, "killed");
      const child = fileURLToPath(new URL("../support/killed-run.ts", import.meta.url));
      const { signal, stderr } = spawnSync(process.execPath, [
        "--import",
        "tsx",
        child,
        "pairs",
        killed,
        "64",
      ]);
      assert.equal(signal, "SIGKILL", stderr.toString());
      assert.deepEqual(await readdir(killed), files.slice(0, 3));
      await writeFile(join(killed, ".pairs-00002.safetensors.0123abcd.tmp"), "a half-written file");
      const report = await make(killed);
      assert.deepEqual([report.count, report.generated, report.repaired], [100, 36, []]);
      assert.deepEqual(await contents(killed), await contents(join(folder, "whole")));
    });
  });

  it("goes on after being aborted, and to a larger count, with the folder's own seed and size of files", async () => {
    await withFolder(async (folder) => {
      await make(join(folder, "whole"));
      const part = join(folder, "part");
      const controller = new AbortController();
      const onProgress = (p: { done: number }) => p.done > 32 && controller.abort("stop");
      assert.equal(
        (await rejects(make(part, { signal: controller.signal, onProgress }), "ERR_ABORTED")).cause,
        "stop",
      );
      await make(part, { count: 40, shardSize: undefined, seed: undefined });
      const report = await make(part, { shardSize: undefined, seed: undefined });
      assert.deepEqual([report.count, report.seed], [100, 5]);
      assert.deepEqual(await contents(part), await contents(join(folder, "whole")));
      assert.deepEqual((await make(part, { count: 50 })).count, 100, "what is there stays");
    });
  });

  it("makes missing and damaged files again, and train() says which they are", async () => {
    await withFolder(async (folder) => {
      await make(folder);
      const sound = await contents(folder);
      using tr0n = await Tr0n.create({ generator, encoder });
      const damage: [RegExp, () => Promise<void>][] = [
        [/pairs-00001.safetensors: cannot be read: no such file/, () => rm(join(folder, files[2]!))],
        [
          /pairs-00000.safetensors: expected \d+ bytes, got 100;/,
          () => truncate(join(folder, files[1]!), 100),
        ],
        [
          /pairs-00003.safetensors: its contents do not fit/,
          async () => {
            const bytes = await readFile(join(folder, files[4]!));
            bytes[bytes.length - 1]! ^= 1;
            await writeFile(join(folder, files[4]!), bytes);
          },
        ],
      ];
      for (const [message, break_] of damage) {
        await break_();
        await rejects(tr0n.train({ pairs: folder }), "ERR_FILE_INVALID", message);
        const report = await make(folder);
        assert.equal(report.repaired.length, 1);
        assert.deepEqual(await contents(folder), sound);
      }
    });
  });

  it("refuses a folder of other models, settings or seed, and leaves it as it was", async () => {
    await withFolder(async (folder) => {
      await make(folder);
      const sound = await contents(folder);
      using other = await loadModel(tinyGenerator({ seed: 9 }));
      await rejects(make(folder, { generator: other }), "ERR_FILE_MISMATCH", /generator was .*, is /);
      await rejects(
        make(folder, { energy: energy.cosine() }),
        "ERR_FILE_MISMATCH",
        /condition was "probabilities", is "unit"/,
      );
      await rejects(
        make(folder, { latent: { kind: "normal", dim: 6, std: 2 } }),
        "ERR_FILE_MISMATCH",
        /latent/,
      );
      await rejects(make(folder, { seed: 6 }), "ERR_FILE_MISMATCH", /seed 5, but 6 was asked for/);
      await rejects(make(folder, { shardSize: 8 }), "ERR_FILE_MISMATCH", /shardSize/);
      using tr0n = await Tr0n.create({ generator: other, encoder });
      await rejects(tr0n.train({ pairs: folder }), "ERR_FILE_MISMATCH", /generator/);
      assert.deepEqual(await contents(folder), sound);
    });
  });

  it("refuses damaged manifests and places it cannot write to", async () => {
    await withFolder(async (folder) => {
      await make(folder);
      const manifest = JSON.parse(await readFile(join(folder, files[0]!), "utf8"));
      const bad: [string, RegExp][] = [
        ["", /not JSON/],
        ["null", /format "tr0n-pairs", got undefined/],
        [JSON.stringify({ ...manifest, version: 2 }), /version 1, got 2/],
        [JSON.stringify({ ...manifest, shardSize: 1.5 }), /shardSize/],
        [JSON.stringify({ ...manifest, settings: null }), /no settings/],
        [JSON.stringify({ ...manifest, shards: {} }), /no list of shards/],
        [
          JSON.stringify({ ...manifest, shards: [{ ...manifest.shards[0], file: "../../etc/passwd" }] }),
          /shard 0/,
        ],
        [JSON.stringify({ ...manifest, shards: [{ ...manifest.shards[0], rows: 1e15 }] }), /shard 0/],
        [JSON.stringify({ ...manifest, shards: [null] }), /shard 0/],
      ];
      for (const [text, message] of bad) {
        await writeFile(join(folder, files[0]!), text);
        await rejects(make(folder), "ERR_FILE_INVALID", message);
      }
      await writeFile(join(folder, "file"), "");
      await rejects(
        make(join(folder, "file")),
        "ERR_IO",
        /a part of the path is a file|a file is in the way/,
      );
      await mkdir(join(folder, "odd", "manifest.json"), { recursive: true });
      await rejects(make(join(folder, "odd")), "ERR_IO", /it is a folder/);
    });
  });

  it("takes conditions from a function, and refuses to mix them with the encoder's", async () => {
    await withFolder(async (folder) => {
      const pairEncoder = async () =>
        tensor(
          Float32Array.from({ length: 32 * 3 }, (_, i) => (i % 3 === 1 ? 1 : 0)),
          [32, 3],
        );
      await make(folder, { pairEncoder, count: 64 });
      const path = join(folder, files[2]!);
      assert.deepEqual(
        [
          ...decodeSafetensors(await readFile(path), path)
            .tensors.get("c")!
            .data.slice(0, 4),
        ],
        [0, 1, 0, 0],
      );
      await rejects(make(folder), "ERR_FILE_MISMATCH", /pairEncoder was "function", is null/);
    });
  });

  it("checks its options", async () => {
    const bad: [object, RegExp][] = [
      [{ folder: undefined }, /folder/],
      [{ folder: "" }, /folder/],
      [{ count: 0 }, /count/],
      [{ count: 2 ** 32 }, /count/],
      [{ shardSize: 0 }, /shardSize/],
      [{ seed: -1 }, /seed/],
      [{ shards: 3 }, /"shards"/],
    ];
    for (const [options, message] of bad)
      await rejects(make("unused", options), "ERR_INVALID_ARGUMENT", message);
    await rejects(make("unused", { signal: AbortSignal.abort() }), "ERR_ABORTED");
  });
});
