import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finish } from "../support/process.js";
import { mlp } from "../support/bridge-models.js";
import { onnxModel } from "../support/onnx.js";
import { addon, fixture, open, rejectsCode, repositoryFile, throwsCode } from "../support/bridge.js";
import { numbers } from "../support/numbers.js";

describe("bridge: models that cannot be used", () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "tr0n-errors-"))));
  after(() => rm(folder, { recursive: true }));

  it("says that a file is missing", async () => {
    await rejectsCode(
      open("/nowhere/g.onnx"),
      "ERR_MODEL_NOT_FOUND",
      /"\/nowhere\/g\.onnx" cannot be read: No such/,
    );
    await rejectsCode(open(folder), "ERR_MODEL_NOT_FOUND", /is not a file/);
  });

  it("refuses bytes that are no model", async () => {
    const good = mlp(8, 8, 8);
    await rejectsCode(open(new Uint8Array(0)), "ERR_MODEL_INVALID", /0 bytes/);
    await rejectsCode(
      open(new TextEncoder().encode("<html>not found</html>")),
      "ERR_MODEL_INVALID",
      /22 bytes/,
    );
    await rejectsCode(open(good.slice(0, good.length / 2), { name: "half" }), "ERR_MODEL_INVALID", /^half: /);
    const path = join(folder, "empty.onnx");
    await writeFile(path, "");
    await rejectsCode(open(path), "ERR_MODEL_INVALID", /empty\.onnx" is empty/);
    await writeFile(path, good.slice(0, 40));
    await rejectsCode(open(path), "ERR_MODEL_INVALID", /empty\.onnx: /);
  });

  it("tells what it cannot run from what is broken", async () => {
    const x = { name: "x", dims: ["n", 2] };
    const y = { name: "y", dims: ["n", 2] };
    const single = (op: string, more = {}) =>
      onnxModel({ inputs: [x], outputs: [y], nodes: [[op, ["x"], ["y"]]], ...more });
    await rejectsCode(open(single("NoSuchOperator")), "ERR_MODEL_UNSUPPORTED", /NoSuchOperator/);
    await rejectsCode(open(single("Relu", { opset: 999 })), "ERR_MODEL_UNSUPPORTED", /999/);
    await rejectsCode(open(single("Relu", { ir: 999 })), "ERR_MODEL_UNSUPPORTED", /999/);
    const foreign = onnxModel({
      inputs: [x],
      outputs: [y],
      nodes: [["Warp", ["x"], ["y"], { domain: "org.example" }]],
      domains: ["org.example"],
    });
    await rejectsCode(open(foreign), "ERR_MODEL_UNSUPPORTED", /Warp/);
    // An edge that leads nowhere.
    const dangling = onnxModel({ inputs: [x], outputs: [y], nodes: [["Add", ["x", "gone"], ["y"]]] });
    await rejectsCode(open(dangling), "ERR_MODEL_INVALID", /gone/);
  });

  it("does not let a model read files", async () => {
    const escaping = (external: string) =>
      onnxModel({
        inputs: [{ name: "x", dims: ["n", 1] }],
        outputs: [{ name: "y", dims: ["n", 1] }],
        nodes: [["MatMul", ["x", "w"], ["y"]]],
        weights: [{ name: "w", dims: [1, 1], data: Float32Array.of(1), external }],
      });
    for (const external of ["/etc/passwd", "../../../../../../../../etc/passwd", "*/_ORT_MEM_ADDR_/*"]) {
      const model = escaping(external);
      await rejectsCode(open(model), "ERR_MODEL_UNSUPPORTED", /constant "w" lie in another file/);
      const path = join(folder, "escaping.onnx");
      await writeFile(path, model);
      await rejectsCode(open(path), "ERR_MODEL_UNSUPPORTED", /constant "w" lie in another file/);
    }
  });

  it("reports a run that fails", async () => {
    const session = await open(
      onnxModel({
        inputs: [
          { name: "x", dims: ["n", 4] },
          { name: "shape", dims: ["r"], type: "int64" },
        ],
        outputs: [{ name: "y", dims: ["a", "b"] }],
        nodes: [["Reshape", ["x", "shape"], ["y"]]],
      }),
      { name: "reshaper" },
    );
    const run = (shape: bigint[]) =>
      session.run({
        x: { data: numbers(1, 8), shape: [2, 4] },
        shape: { data: BigInt64Array.from(shape), shape: [shape.length] },
      }).promise;
    await rejectsCode(run([3n, 3n]), "ERR_RUN_FAILED", /^reshaper: the run failed: .*Reshape/s);
    assert.deepEqual((await run([4n, 2n]))["y"]!.shape, [4, 2]);
  });

  it("reports memory that is not there, and lives on", async () => {
    const session = await open(
      onnxModel({
        inputs: [
          { name: "x", dims: ["n"] },
          { name: "shape", dims: ["r"], type: "int64" },
        ],
        outputs: [{ name: "y", dims: ["a", "b"] }],
        nodes: [["Expand", ["x", "shape"], ["y"]]],
      }),
    );
    const shape = { data: BigInt64Array.of(2n ** 24n, 2n ** 24n), shape: [2] };
    const run = session.run({ x: { data: Float32Array.of(1), shape: [1] }, shape });
    await rejectsCode(run.promise, "ERR_OUT_OF_MEMORY", /./);
    await open(mlp(2, 2, 2));
  });

  it("says what was tried when the runtime cannot be loaded", async () => {
    const child = (path: string) =>
      finish(process.execPath, [fixture("missing-runtime.mjs"), addonPath(), path]);
    const missing = await child("/nowhere/libonnxruntime.so");
    assert.equal(missing.code, 0, missing.stderr);
    assert.match(missing.stdout, /^ERR_RUNTIME_MISSING .*"\/nowhere\/libonnxruntime\.so"/);
    const path = join(folder, "libonnxruntime.so.1");
    await writeFile(path, "not a library");
    assert.match((await child(path)).stdout, /^ERR_RUNTIME_MISSING .*libonnxruntime\.so\.1/);
  });

  it("survives damaged models", async function () {
    this.timeout(120_000);
    // In a child: a crash must fail this test, not end it.
    const result = await finish(process.execPath, [
      fixture("damaged-models.mjs"),
      addonPath(),
      runtimePath(),
      repositoryFile("models/classifier.onnx"),
    ]);
    assert.equal(result.code, 0, `${result.signal} ${result.stderr}`);
    const codes = JSON.parse(result.stdout) as Record<string, number>;
    assert.ok(codes["ERR_MODEL_INVALID"]! > 50, result.stdout);
    for (const code of Object.keys(codes))
      assert.match(
        code,
        /^(ERR_MODEL_INVALID|ERR_MODEL_UNSUPPORTED|ERR_MODEL_NOT_FOUND|ERR_OUT_OF_MEMORY|fine)$/,
      );
  });
});

describe("bridge: arguments", () => {
  it("names the argument, what was expected and what came", async () => {
    const bad = (call: () => unknown, message: RegExp) => throwsCode(call, "ERR_INVALID_ARGUMENT", message);
    bad(() => addon.openSession(5 as never), /source: expected a path or a Uint8Array, got 5/);
    bad(() => addon.openSession(""), /source: expected a path, got an empty string/);
    bad(() => addon.openSession("a\0b"), /zero byte/);
    bad(
      () => addon.openSession("a", { threads: 0 }),
      /options\.threads: expected an integer from 1 to 1024, got 0/,
    );
    bad(() => addon.setThreads(1.5), /count: expected an integer from 1 to 1024, got 1\.5/);
    bad(() => addon.createTranslator({} as never, 1n), /config\.condition: .*got undefined/);
    const shape = { condition: 4, hidden: 8, latent: 3, components: 2 };
    bad(() => addon.createTranslator(shape, 1 as never), /seed: expected a bigint/);
    bad(() => addon.createTranslator(shape, -1n), /seed: expected a bigint/);
    bad(() => addon.createTranslator(shape, 2n ** 64n), /seed: expected a bigint/);
    const translator = addon.createTranslator(shape, 1n);
    bad(() => translator.forward(new Float32Array(7), 2), /c: expected a Float32Array of length 8, got .* 7/);
    bad(() => translator.forward(new Float64Array(8) as never, 2), /got a Float64Array of length 8/);
    bad(() => translator.forward(new Float32Array(0), 0), /n: expected an integer from 1/);
    bad(() => translator.draw(new Float32Array(8), 2, 2 ** 33, 1n), /count: expected an integer/);
    bad(() => translator.setValues(new Float32Array(3)), /values: expected a Float32Array of length \d+/);
    const prior = { kind: "normal", dim: 4 } as const;
    bad(
      () => addon.drawPrior({ kind: "cauchy", dim: 4 } as never, 1n, 0, 0, 1),
      /prior\.kind: .*"truncatedNormal"/,
    );
    bad(() => addon.drawPrior(prior, 1n, 0, 2 ** 32 - 1, 2), /n: expected/);
    const policy = { copies: 2, height: 4, width: 4, shiftY: 1, shiftX: 1, cutoutHeight: 2, cutoutWidth: 2 };
    const scales = { minScale: 0.8, maxScale: 1.2 };
    const draw = (changes: object): unknown =>
      addon.drawAugmentation({ ...policy, ...scales, ...changes }, 1n, 0, 0, 0);
    bad(() => draw({ copies: 0 }), /policy\.copies: expected an integer/);
    bad(() => draw({ cutoutWidth: 5 }), /policy\.cutoutWidth: expected an integer/);
    bad(() => draw({ minScale: 0 }), /policy\.minScale: expected a number in \[0\.001, 1000\]/);
    bad(() => addon.createAugmentedObjective({ objective: translator } as never), /objective/);
    bad(() => addon.philox([1, 2, 3], [1, 2]), /counter: expected an array of 4 integers/);
    // One native object where another is expected.
    bad(() => addon.createObjective({ energy: translator } as never), /config\.energy: expected a session/);
    bad(
      () => addon.createTrainer({} as never, {} as never, new Float32Array(1), new Float32Array(1), null, 1),
      /translator/,
    );
  });

  it("training looks at its pairs in its first job, and says which is not finite", async () => {
    const translator = addon.createTranslator({ condition: 2, hidden: 4, latent: 1, components: 2 }, 1n);
    const c = Float32Array.of(1, 0, 0, Number.NaN);
    const config = { epochs: 1, batch: 2, learningRate: 1e-3, seed: 1n };
    throwsCode(
      () => addon.createTrainer(translator, { ...config, epochs: 0 }, c.slice(0, 2), c, null, 2),
      "ERR_INVALID_ARGUMENT",
      /config\.epochs/,
    );
    const trainer = addon.createTrainer(translator, config, c.slice(0, 2), c, null, 2);
    for (const job of [() => trainer.run(1), () => trainer.state()])
      await assert.rejects(job().promise, { code: "ERR_INVALID_ARGUMENT", message: /c: .*finite.* pair 1/ });
    const state = { step: 9, values: new Float32Array(1), firstMoment: c, secondMoment: c };
    throwsCode(
      () => trainer.setState(state),
      "ERR_INVALID_ARGUMENT",
      /state\.values: expected a Float32Array of length \d+/,
    );
    trainer.dispose();
    translator.dispose();
  });

  it("cannot be tricked into using one object as another", async () => {
    const session = await open(mlp(2, 2, 2));
    const translator = addon.createTranslator({ condition: 4, hidden: 8, latent: 3, components: 2 }, 1n);
    const Session = session.constructor as new (x?: unknown) => unknown;
    throwsCode(() => new Session(), "ERR_INVALID_ARGUMENT", /cannot be constructed/);
    throwsCode(() => new Session({}), "ERR_INVALID_ARGUMENT", /cannot be constructed/);
    assert.throws(() => session.run.call(translator as never, {}), TypeError);
    assert.throws(() => session.run.call({} as never, {}), TypeError);
    const disguised = Object.setPrototypeOf(translator, Object.getPrototypeOf(session) as object) as never;
    throwsCode(
      () => addon.createObjective({ energy: disguised } as never),
      "ERR_INVALID_ARGUMENT",
      /config\.energy/,
    );
  });

  it("refuses what cannot fit into memory before it tries", async () => {
    const prior = { kind: "normal", dim: 2 ** 16 } as const;
    throwsCode(
      () => addon.drawPrior(prior, 1n, 0, 0, 2 ** 31),
      "ERR_OUT_OF_MEMORY",
      /takes \d+ MiB, but only \d+ MiB/,
    );
    const wide = { kind: "normal", dim: 2 ** 26 } as const;
    throwsCode(() => addon.drawPrior(wide, 1n, 0, 0, 2 ** 31), "ERR_INVALID_ARGUMENT", /not possible/);
  });
});

const addonPath = () => process.env["TR0N_ADDON"] ?? repositoryFile("build/Release/tr0n.node");
const runtimePath = () =>
  process.env["TR0N_ONNXRUNTIME"] ??
  repositoryFile(
    `node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime.so.1`,
  );
