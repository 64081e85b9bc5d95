/** Archives that contradict themselves, checksums right: refused before libtorch believes them. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel, type Model } from "../../lib/index.js";
import { torchModulePath } from "../../lib/native/binding.js";
import { changed, readArchive, writeArchive, type Records } from "../support/archive.js";
import { seeded } from "../support/numbers.js";
import { finish } from "../support/process.js";
import { demoFile, needsTorch, torchFixture } from "../support/torch.js";

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const addonPath = process.env["TR0N_ADDON"] ?? file("build/Release/tr0n.node");

const latin = (text: string): Buffer => Buffer.from(text, "latin1");
/** A pickled integer of 8 bytes. */
const long = (value: bigint): string =>
  `\x8a\x08${Buffer.from(BigInt64Array.of(value).buffer).toString("latin1")}`;
const text = (value: string): string =>
  `X${Buffer.from(Uint32Array.of(value.length).buffer).toString("latin1")}${value}`;

describe("torchscript: archives that are not what an export writes", function () {
  this.timeout(180_000);
  let records: Records;
  let pickle: string;
  before(async function () {
    needsTorch(this);
    records = readArchive(readFileSync(torchFixture("hostile/patient")));
    pickle = records.get("data.pkl")!.toString("latin1");
    (await load(records)).dispose(); // sound as it is
  });

  const load = (from: Records): Promise<Model> =>
    loadModel(writeArchive(from), { inputShapes: { x: [null, 4] } });
  const refused = (from: Records, message: RegExp): Promise<void> =>
    assert.rejects(load(from), (error: Error & { code: string }) => {
      assert.equal(error.code, "ERR_MODEL_INVALID", error.message);
      assert.match(error.message, message);
      return true;
    });
  /** data.pkl with one place changed; there must be such a place. */
  const edited = (from: string, to: string): Records => {
    assert.ok(pickle.includes(from), `no ${JSON.stringify(from)}`);
    return changed(records, { "data.pkl": latin(pickle.replace(from, () => to)) });
  };
  const rewritten = (code: string): Records => changed(records, { "code/__torch__.py": code });

  it("a storage that is cut short, by a byte or all of it, or missing", async () => {
    for (const [name, data] of records) {
      if (!name.startsWith("data/")) continue;
      for (const length of new Set([data.length - 1, data.length >> 1, 0]))
        await refused(
          changed(records, { [name]: data.subarray(0, length) }),
          /storage "data\/\d" has \d+ bytes, expected \d+ elements/,
        );
      const without = new Map(records);
      without.delete(name);
      await refused(without, /storage "data\/\d" is missing/);
    }
    // Longer than need be is what a storage of several tensors is to one of them.
    (
      await load(changed(records, { "data/2": Buffer.concat([records.get("data/2")!, Buffer.alloc(100)]) }))
    ).dispose();
  });

  it("a tensor that reaches beyond its storage, or has sizes that no tensor has", async () => {
    const [offset, sizes, strides] = ["K\x00", "(K\x04K\x04t", "(K\x04K\x01t"];
    const weight = offset + sizes + strides;
    const fits = /does not fit its storage|sizes .* with strides/;
    const big = long(2n ** 62n);
    for (const other of [
      `K\x01${sizes}${strides}`,
      `J\xff\xff\xff\xff${sizes}${strides}`,
      `${big}${sizes}${strides}`,
      `${offset}(K\x04K\x05t${strides}`,
      `${offset}(${big}K\x04t${strides}`,
      `${offset}(${big}${big}t(K\x00K\x00t`,
      `${offset}(J\xff\xff\xff\xffK\x04t${strides}`,
      `${offset}${sizes}(K\x05K\x01t`,
      `${offset}${sizes}(${big}K\x01t`,
      `${offset}${sizes}(J\xfc\xff\xff\xffK\x01t`,
      `${offset}${sizes}(K\x04t`,
      `${offset}(${"K\x01".repeat(100)}t(${"K\x01".repeat(100)}t`,
    ])
      await refused(edited(weight, other), fits);
    // Within the storage: the transposed weight, and one row again and again.
    for (const other of [`${offset}${sizes}(K\x01K\x04t`, `${offset}${sizes}(K\x00K\x01t`])
      (await load(edited(weight, other))).dispose();
  });

  it("a storage said to have more elements than it has, none, or fewer than none", async () => {
    const end = "Q"; // of the reference, after the count
    for (const count of [`K\x11t${end}`, `${long(2n ** 61n)}t${end}`])
      await refused(edited(`K\x10t${end}`, count), /storage "data\/2" has 64 bytes/);
    for (const count of [`K\x00t${end}`, `J\xff\xff\xff\xfft${end}`])
      await refused(edited(`K\x10t${end}`, count), /does not fit its storage/);
    await refused(edited("FloatStorage", "DoubleStorage"), /bytes, expected 1 elements of 8/);
  });

  it("values of other types than the code declares, and objects of other classes", async () => {
    await refused(
      edited(
        "c__torch__.torch.nn.modules.linear\nLinear\n",
        "c__torch__.torch.nn.modules.activation\nTanh\n",
      ),
      /layer: expected \S*Linear, got a \S*Tanh/,
    );
    await refused(edited(text("bias"), text("boas")), /bias: the attribute is missing/);
    for (const [from, to, expected] of [
      ["K\x03G?\xe0\0\0\0\0\0\0\x86", "K\x01\x85", /pair: expected Tuple\[int, float\], got a tuple/],
      ["K\x03G?\xe0\0\0\0\0\0\0\x86", "K\x01K\x01\x86", /pair\[1\]: expected float, got an integer/],
      ["K\x03G?\xe0\0\0\0\0\0\0\x86", "K\x01", /pair: expected Tuple\[int, float\], got an integer/],
    ] as const)
      await refused(edited(from, to), expected);
  });

  it("pickles that are damaged, call what libtorch does not, or contain themselves", async () => {
    const whole = records.get("data.pkl")!;
    for (let length = 0; length < whole.length; length += 13)
      await refused(changed(records, { "data.pkl": whole.subarray(0, length) }), /data\.pkl|archive/);
    for (const [what, message] of [
      ["\x80\x02cos\nsystem\n(X\x02\0\0\0lst R.", /data\.pkl/],
      ["\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.", /a call of "os system"/],
      ["\x80\x02ctorch.distributed.rpc\nrref\n)R.", /a call of "torch\.distributed\.rpc rref"/],
      ["\x80\x02]q\x00(h\x00e.", /contains itself/],
      ["\x80\x02]q\x00h\x00\x85(h\x00e.", /data\.pkl/],
      ["\x80\x02R.", /a value is missing/],
      ["\x80\x02h\x05.", /referred to that there is not/],
      ["\x80\x02X\xff\xff\xff\xffabc.", /ends early/],
      [`\x80\x02${"]".repeat(10)}.`, /expected one value/],
      [`\x80\x02N${"\x85".repeat(100_000)}.`, /nested too deeply/],
      ["\x80\x02Nr\xff\xff\xff\xff.", /expected a module/],
      [
        "\x80\x02ctorch.jit._pickle\nrestore_type_tag\n(]" +
          text(`${"List[".repeat(50_000)}int${"]".repeat(50_000)}`) +
          "tR.",
        /nested too deeply/,
      ],
      ["\x80\x04N.", /protocol 2/],
    ] as const)
      await refused(changed(records, { "data.pkl": latin(what) }), message);
    // Twice as much at each of sixty levels.
    const doubled = Array.from(
      { length: 60 },
      (_, i) => `h${String.fromCharCode(i)}h${String.fromCharCode(i)}\x86q${String.fromCharCode(i + 1)}`,
    );
    await refused(
      changed(records, { "data.pkl": latin(`\x80\x02Nq\x000${doubled.join("")}.`) }),
      /data\.pkl/,
    );
    await refused(
      changed(records, { "constants.pkl": latin("\x80\x02N.") }),
      /constants\.pkl: expected a tuple/,
    );
  });

  it("code that is nested without end, or would be endless with what it calls in its place", async () => {
    const code = records.get("code/__torch__.py")!.toString();
    const line = "    deep = self.deep\n";
    const put = (what: string): Records => rewritten(code.replace(line, `${what}${line}`));
    for (const [what, message] of [
      [`    z = ${"(".repeat(20_000)}1${")".repeat(20_000)}\n`, /brackets are nested too deeply/],
      [`    z = ${"not ".repeat(50_000)}True\n`, /too many operators/],
      [`    z = 1${"+1".repeat(50_000)}\n`, /too many operators/],
      [`    z = ${"1 if True else ".repeat(20_000)}2\n`, /too many operators/],
      [
        Array.from({ length: 3000 }, (_, i) => `${" ".repeat(4 + i)}if True:\n`).join("") +
          " ".repeat(3005) +
          "z = 1\n",
        /blocks are nested too deeply/,
      ],
    ] as const)
      await refused(put(what), message);
    const methods = (body: (i: number) => string, count: number): Records =>
      rewritten(
        code +
          Array.from(
            { length: count },
            (_, i) => `  def m${i}(self: __torch__.Patient,\n    x: Tensor) -> Tensor:\n${body(i)}`,
          ).join(""),
      );
    const call = (i: number, j: number): string => `    y${j} = (self).m${i + 1}(x, )\n`;
    // A billion nodes when inlined.
    await refused(
      methods(
        (i) => (i === 39 ? "    return x\n" : `${call(i, 0)}${call(i, 1)}    return torch.add(y0, y1)\n`),
        40,
      ),
      /would be too large/,
    );
    await refused(
      methods((i) => (i === 4999 ? "    return x\n" : `${call(i, 0)}    return y0\n`), 5000),
      /too large, or too deep/,
    );
    // A list of numbers is no nesting.
    (await load(put(`    z = [${"-1, ".repeat(20_000)}]\n`))).dispose();
  });

  it("classes that need each other without end, or each the next one twice", async () => {
    const code = records.get("code/__torch__.py")!.toString();
    const classes = (count: number, mentions: (i: number) => string[]): Records =>
      rewritten(
        code.replace("  sizes : List[int]\n", "  sizes : List[int]\n  chain : Optional[__torch__.C0]\n") +
          Array.from(
            { length: count },
            (_, i) =>
              `class C${i}(Module):\n  __parameters__ = []\n  __buffers__ = []\n` +
              (i < count - 1 ? mentions(i + 1) : []).map((type, j) => `  part${j} : ${type}\n`).join("") +
              "  training : bool\n",
          ).join(""),
      );
    await refused(
      classes(150, (i) => [`__torch__.C${i}`]),
      /chain: the attribute is missing/,
    ); // sound, but for that
    await refused(
      classes(3000, (i) => [`__torch__.C${i}`]),
      /nested too deeply/,
    );
    await refused(
      classes(60, (i) => [`__torch__.C${i}`, `List[__torch__.C${i}]`]),
      /mention others too often/,
    );
    await refused(
      classes(2, () => ["__torch__.C0"]),
      /nested too deeply, or in themselves/,
    );
  });

  it("classes whose lines have no type, or no value, where libtorch takes one for granted", async () => {
    const code = records.get("code/__torch__.py")!.toString();
    for (const [from, to] of [
      ["__buffers__ = ", "__bufers__ = "],
      ["  __parameters__ = []\n", "  __parameters__ : int\n"],
    ] as const)
      await refused(rewritten(code.replace(from, to)), /a line in class Patient that is no attribute/);
    const other = code.replace(
      "  sizes : List[int]\n",
      "  sizes : List[int]\n  other : Optional[__torch__.Other]\n",
    );
    for (const definition of ["class Other(NamedTuple):\n  a = 3\n", "class Other(Enum):\n  a : int\n"])
      await refused(rewritten(other + definition), /a line in class Other that is no attribute/);
  });

  it("what is of PyTorch 1.0", async () => {
    const old = new Map([
      ["model.json", latin("{}")],
      ["version", latin("1\n")],
    ]);
    await assert.rejects(load(old), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /PyTorch 1\.0 or 1\.1.*save it again/,
    });
  });

  it("hundreds of them, changed at random, in a process that outlives them all", async () => {
    // TR0N_FUZZ says how many instead of 300, TR0N_FUZZ_SEED where to begin; TR0N_KEEP leaves the files where they are.
    const count = Number(process.env["TR0N_FUZZ"] ?? 300);
    const first = Number(process.env["TR0N_FUZZ_SEED"] ?? 1);
    const folder = mkdtempSync(join(tmpdir(), "tr0n-fuzz-"));
    try {
      const seeds = [
        "hostile/patient",
        "hostile/quantized",
        "hostile/quantized_conv",
        "scripted",
        "named_pair",
      ].map((name) => readArchive(readFileSync(torchFixture(name))));
      for (let i = 0; i < count; i++) {
        const { records: mutant, name } = mutate(seeds[i % seeds.length]!, first + i);
        writeFileSync(join(folder, `${String(i).padStart(5, "0")}-${name}`), mutant);
      }
      const { code, signal, stdout, stderr } = await finish(
        process.execPath,
        [file("test/fixtures/torch/load-all.mjs"), addonPath, torchModulePath(), folder],
        { timeout: 150_000 + count * 100 },
      );
      assert.equal(code, 0, `${signal} at ${stdout.split("\n").at(-1)} ${stderr}`);
      const lines = stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" "));
      assert.equal(lines.length, count);
      const outcomes = new Map<string, number>();
      for (const [, outcome] of lines) outcomes.set(outcome!, (outcomes.get(outcome!) ?? 0) + 1);
      if (process.env["TR0N_FUZZ"]) process.stdout.write(`      ${JSON.stringify([...outcomes])}\n`);
      const allowed = [
        "fine",
        "ERR_MODEL_INVALID",
        "ERR_MODEL_UNSUPPORTED",
        "ERR_MODEL_CODE",
        "ERR_RUN_FAILED",
        "ERR_OUT_OF_MEMORY",
        "ERR_ABORTED",
        "ERR_INVALID_ARGUMENT",
      ];
      for (const outcome of outcomes.keys()) assert.ok(allowed.includes(outcome), outcome);
      assert.ok((outcomes.get("ERR_MODEL_INVALID") ?? 0) > count / 4, "too few were damaged");
    } finally {
      if (!process.env["TR0N_KEEP"]) rmSync(folder, { recursive: true, force: true });
    }
  });

  it("a sound one, put together again, is sound", async () => {
    (await loadModel(writeArchive(readArchive(readFileSync(demoFile("classifier.pt")))))).dispose();
  });
});

/** Some bytes of a record changed, or its length, or words of its code exchanged; every other time a pickle. */
function mutate(seed: Records, number: number): { records: Uint8Array; name: string } {
  const random = seeded(number);
  const below = (limit: number): number => Math.floor(random.uniform() * limit);
  const names = [...seed.keys()].filter((name) => !name.endsWith("debug_pkl"));
  const kindOf = below(4);
  const some = names.filter((name) =>
    kindOf < 2 ? name.endsWith(".pkl") : kindOf < 3 ? name.endsWith(".py") : true,
  );
  const name = some[below(some.length)]!;
  let data: Buffer = Buffer.from(seed.get(name)!);
  const words = name.endsWith(".py") ? data.toString("latin1").split(/\b/) : [];
  if (words.length > 0 && below(3) > 0) {
    for (let times = 1 + below(3); times > 0; times--)
      words.splice(below(words.length), below(3), words[below(words.length)]!);
    data = latin(words.join(""));
  }
  for (let times = words.length > 0 ? below(2) : 1 + below(3); times > 0 && data.length > 0; times--) {
    const at = below(data.length);
    const kind = below(5);
    if (kind === 0) data[at] = interesting[below(interesting.length)]!;
    else if (kind === 1) data[at]! ^= 1 << below(8);
    else if (kind === 2) data = data.subarray(0, at);
    else if (kind === 3) data = Buffer.concat([data.subarray(0, at), data.subarray(at + 1 + below(8))]);
    else data = Buffer.concat([data.subarray(0, at), data.subarray(below(at + 1), at), data.subarray(at)]);
  }
  return { records: writeArchive(changed(seed, { [name]: data })), name: name.replaceAll("/", "_") };
}

/** What begins, ends and fills things in a pickle, and the ends of ranges of bytes. */
const interesting = [...latin("\x00\x01\x7f\x80\xff(KRbehqtu}\x85\x8a")];
