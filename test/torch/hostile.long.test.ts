/** TorchScript is code: what does more than compute is refused before any of it runs, and what never ends is ended. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadModel, tensor, Tr0n, type ModelOptions } from "../../lib/index.js";
import { native, packageRoot } from "../../lib/native/binding.js";
import { tr0n } from "../support/cli.js";
import { changed, readArchive, writeArchive } from "../support/archive.js";
import { demoFile, needsTorch, torchFixture } from "../support/torch.js";

/** A file of scripts/fixtures/torch/hostile.py. */
const hostile = (name: string): string => torchFixture(`hostile/${name}`);
const options: ModelOptions = { inputShapes: { x: [null, 4] } };
/** What the fixtures write. */
const written = resolve("tr0n-hostile.bin");
const row = (value: number) => tensor(new Float32Array(4).fill(value), [1, 4]);

/** Milliseconds until a call ends after it was aborted, with ERR_ABORTED. */
async function stopped(call: (signal: AbortSignal) => Promise<unknown>, after = 150): Promise<number> {
  const stop = new AbortController();
  const running = call(stop.signal);
  let aborted = 0;
  const timer = setTimeout(() => {
    aborted = performance.now();
    stop.abort();
  }, after);
  try {
    await assert.rejects(running, { code: "ERR_ABORTED" });
  } finally {
    clearTimeout(timer);
  }
  assert.ok(aborted > 0, "it ended by itself");
  // Rejected is one thing; the thread must be free, too: nothing native is left running.
  for (let waited = 0; native().counters().jobs > 0 && waited < 5000; waited += 5)
    await new Promise((next) => setTimeout(next, 5));
  assert.equal(native().counters().jobs, 0);
  return performance.now() - aborted;
}

describe("torchscript: code that does more than compute", function () {
  this.timeout(120_000);
  before(async function () {
    needsTorch(this);
    // libtorch itself takes seconds to open on a busy machine.
    (await loadModel(demoFile("classifier.pt"))).dispose();
  });
  const gone = (): void => rmSync(written, { force: true });
  beforeEach(gone);
  afterEach(gone);

  for (const [name, what, operator, place] of [
    ["writes_in_forward", "in forward()", "aten::from_file", "InForward.forward"],
    ["writes_in_branch", "in a branch of a loop", "aten::from_file", "InBranch.forward"],
    ["writes_in_method", "in a method that nobody calls", "aten::from_file", "InMethod.unused"],
    ["writes_in_submodule", "in a submodule", "aten::from_file", "InMethod.unused"],
    ["writes_in_function", "in a function", "aten::from_file", "reads"],
    ["writes_in_fork", "in a fork", "aten::from_file", "reads"],
    ["writes_in_hook", "in a hook", "aten::from_file", "InHook.before"],
    ["writes_in_state", "in __setstate__, which loading runs", "aten::from_file", "InState.__setstate__"],
    ["saves", "torch.save()", "aten::save", "Saves.forward"],
    ["seeds", "torch.manual_seed()", "aten::manual_seed", "Seeds.forward"],
  ] as const)
    it(`${what} is refused by name and place, and nothing has run`, async () => {
      await assert.rejects(
        loadModel(hostile(name), options),
        (error: Error & { code: string; constructor: { name: string } }) => {
          assert.equal(error.code, "ERR_MODEL_CODE", error.message);
          assert.equal(error.constructor.name, "ModelError");
          assert.ok(error.message.includes(operator), error.message);
          assert.ok(error.message.includes(`in ${place}, code/__torch__.py:`), error.message);
          assert.match(error.message, /allowCode: true \(--allow-code\)/);
          return true;
        },
      );
      assert.equal(existsSync(written), false, "the model wrote a file");
    });

  it("runs where the file is trusted", async () => {
    for (const name of ["writes_in_forward", "writes_in_state", "saves"]) {
      using model = await loadModel(hostile(name), { ...options, allowCode: true });
      assert.equal(model.outputs.length, 1);
      assert.ok(existsSync(written), `${name}: the fixture writes what the others are refused for`);
      gone();
    }
  });

  it("a class of libtorch's own that is no packed weight, and a cast that nothing checks", async () => {
    const records = readArchive(readFileSync(hostile("patient")));
    const code = records.get("code/__torch__.py")!.toString();
    const body = (lines: string[]): Uint8Array =>
      writeArchive(
        changed(records, {
          "code/__torch__.py": code.replace(
            "    deep = self.deep\n",
            lines.map((line) => `    ${line}\n`).join("") + "    deep = self.deep\n",
          ),
        }),
      );
    // The slots of one class would be read as those of another.
    await assert.rejects(
      loadModel(
        body([
          "any = annotate(Any, 5)",
          "other = unchecked_cast(__torch__.torch.nn.modules.linear.Linear, any)",
          "stolen = (other).forward(x, )",
        ]),
        options,
      ),
      { code: "ERR_MODEL_CODE", message: /prim::unchecked_cast to \S*Linear \(in Patient\.forward/ },
    );
    await assert.rejects(
      loadModel(
        body([
          "any = annotate(Any, 5)",
          "pair = unchecked_cast(Tuple[int, int], any)",
          "one, two, = pair",
          "print(one, two)",
        ]),
        options,
      ),
      { code: "ERR_MODEL_CODE", message: /prim::unchecked_cast to Tuple\[int, int\]/ },
    );
    // What scripts have: None is taken away.
    using fine = await loadModel(
      body(["maybe = annotate(Optional[int], 5)", "number = unchecked_cast(int, maybe)"]),
      options,
    );
    assert.equal(fine.outputs[0]!.name, "output");
    const foreign = code.replace(
      "  sizes : List[int]\n",
      "  sizes : List[int]\n  spy : Optional[__torch__.torch.classes.profiling._ScriptProfile]\n",
    );
    await assert.rejects(
      loadModel(writeArchive(changed(records, { "code/__torch__.py": foreign })), options),
      {
        code: /ERR_MODEL_(CODE|UNSUPPORTED|INVALID)/,
        message: /_ScriptProfile/,
      },
    );
  });

  it("is allowed on every way that loads models, and only where it means something", async () => {
    const path = hostile("saves");
    await assert.rejects(loadModel(demoFile("classifier.onnx"), { allowCode: true }), {
      code: "ERR_INVALID_ARGUMENT",
      message: /allowCode: only for TorchScript/,
    });
    await assert.rejects(loadModel(path, { allowCode: "yes" as never }), { code: "ERR_INVALID_ARGUMENT" });
    const refused = await tr0n(["inspect", path]);
    assert.equal(refused.code, 1);
    assert.match(refused.error, /ERR_MODEL_CODE|aten::save/);
    assert.match((await tr0n(["inspect", "--help"])).out, /--allow-code/);
    const onnx = await tr0n(["inspect", demoFile("classifier.onnx"), "--allow-code"]);
    assert.equal(onnx.code, 2, onnx.error);
    const models = ["--generator", demoFile("gan-generator.onnx"), "--encoder", demoFile("classifier.onnx")];
    const none = await tr0n(["train", ...models, "-n", "64", "-o", "never.safetensors", "--allow-code"]);
    assert.equal(none.code, 2, none.error);
    assert.match(none.error, /none of the models is TorchScript/);
    await assert.rejects(
      Tr0n.load("nowhere.safetensors", { generator: path, encoder: path, allowCode: 1 as never }),
      { code: "ERR_INVALID_ARGUMENT", message: /models\.allowCode/ },
    );
  });

  it("what a model prints and warns of stays off the process's output", async () => {
    const script = `
      import { loadModel } from ${JSON.stringify(join(packageRoot, "lib/index.ts"))};
      (await loadModel(${JSON.stringify(hostile("prints"))}, ${JSON.stringify(options)})).dispose();`;
    const { finish } = await import("../support/process.js");
    const { code, stdout, stderr } = await finish(process.execPath, [
      ...["--import", "tsx", "--input-type=module", "-e", script],
    ]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /a model (prints|warns)/);
  });

  it("packed weights of quantised networks are read by __setstate__, and run", async () => {
    for (const [name, shape] of [
      ["quantized", [null, 4]],
      ["quantized_conv", [null, 4, 3, 3]],
    ] as const) {
      using model = await loadModel(hostile(name), { inputShapes: { input: [...shape] } });
      const size = shape.slice(1).reduce<number>((product, axis) => product * axis!, 1);
      const { output } = await model.run(
        tensor(new Float32Array(size).fill(0.5), [1, ...(shape.slice(1) as number[])]),
      );
      assert.ok(output!.data.some((value) => value !== 0));
    }
  });
});

describe("torchscript: code that does not end", function () {
  this.timeout(120_000);
  before(async function () {
    needsTorch(this);
    (await loadModel(demoFile("classifier.pt"))).dispose();
  });

  for (const [name, what] of [
    ["loops_on_tensors", "a loop on tensors"],
    ["loops_on_numbers", "a loop on numbers, which allocates nothing"],
    ["loops_in_state", "a loop in __setstate__"],
  ] as const)
    it(`a load stuck in ${what} is aborted, and the next one works`, async () => {
      const took = await stopped((signal) => loadModel(hostile(name), { ...options, signal }));
      assert.ok(took < 1000, `${took.toFixed(0)} ms after the signal`);
      using after = await loadModel(demoFile("classifier.pt"));
      assert.equal(after.inputs.length, 1);
    });

  it("run() and vjp() are aborted inside of a loop, and the model works on", async () => {
    using model = await loadModel(hostile("loops_in_branch"), options);
    for (const call of [
      (signal: AbortSignal) => model.run(row(2), { signal }),
      (signal: AbortSignal) => model.vjp(row(2), row(1), { signal }),
    ])
      assert.ok((await stopped(call)) < 1000);
    assert.deepEqual([...(await model.run(row(0.5)))["output"]!.data], [1, 1, 1, 1]);
  });

  it("a long run without a loop is aborted between its operators, forward and backward", async () => {
    using model = await loadModel(hostile("slow"), { ...options, threads: 1 });
    const rows = 400_000;
    const x = tensor(new Float32Array(rows * 4).fill(0.5), [rows, 4]);
    const start = performance.now();
    await model.run(x);
    const whole = performance.now() - start;
    const took = await stopped((signal) => model.run(x, { signal }), whole / 8);
    assert.ok(took < whole / 3, `${took.toFixed(0)} ms of ${whole.toFixed(0)}`);
  });

  it("a fork that nobody waits for ends with the run", async () => {
    using model = await loadModel(hostile("loops_in_fork"), options);
    await model.run(row(2));
    const before = process.cpuUsage();
    await new Promise((next) => setTimeout(next, 100)); // it learns of the end
    const [start, from] = [process.cpuUsage(before), performance.now()];
    await new Promise((next) => setTimeout(next, 500));
    const used = (process.cpuUsage(before).user - start.user) / 1000;
    assert.ok(used < (performance.now() - from) / 2, `${used.toFixed(0)} ms of computing after the run`);
  });

  it("dispose() ends a run that loops, and a process that loops can leave", async () => {
    const model = await loadModel(hostile("loops_in_branch"), options);
    const running = model.run(row(2));
    setTimeout(() => model.dispose(), 100);
    await assert.rejects(running, { code: "ERR_DISPOSED" });
    const script = `
      import { loadModel } from ${JSON.stringify(join(packageRoot, "lib/index.ts"))};
      loadModel(${JSON.stringify(hostile("loops_on_numbers"))}, ${JSON.stringify(options)}).catch(() => {});
      setTimeout(() => process.exit(7), 3000);`;
    const { finish } = await import("../support/process.js");
    const { code, signal, stderr } = await finish(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", script],
      { timeout: 60_000 },
    );
    assert.equal(code, 7, `${signal} ${stderr}`);
  });

  it("a process can leave at any moment of libtorch's first uses", async () => {
    const script = `
      import { loadModel } from ${JSON.stringify(join(packageRoot, "lib/index.ts"))};
      loadModel(${JSON.stringify(hostile("loops_on_numbers"))}, ${JSON.stringify(options)}).catch(() => {});
      setTimeout(() => process.exit(7), Number(process.argv[1]));`;
    const { finish } = await import("../support/process.js");
    // Side by side, so that the first uses take long; how long, nobody knows.
    const moments = [100, 300, 600, 900, 1200, 1600, 2000, 2500];
    const ends = await Promise.all(
      moments.map((moment) =>
        finish(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script, String(moment)], {
          timeout: 60_000,
        }),
      ),
    );
    assert.deepEqual(
      ends.map(({ code, signal }) => code ?? signal),
      moments.map(() => 7),
      ends.map(({ stderr }) => stderr.slice(-500)).join(""),
    );
  });
});
