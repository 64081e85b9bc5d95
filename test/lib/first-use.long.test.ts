/** What the first call that needs models costs, and what is kept so that the next process's first call costs less. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { energy, loadModel, Tr0n, type OpeningProgress, type Tensor } from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import type { NativeBlockRule } from "../../lib/native/types/pipeline.js";
import { sameBits } from "../support/bridge.js";
import { demo, modelFile } from "../support/demo.js";
import { attentionDecoder, cellDecoder, smallClassifier, visionTransformer } from "../support/heavy.js";

/** Rows that models are run on while `body` runs. */
async function rowsOf<T>(body: () => Promise<T>): Promise<{ rows: number; result: T }> {
  const before = native().rowsRun();
  const result = await body();
  return { rows: native().rowsRun() - before, result };
}

describe("first use", function () {
  this.timeout(300_000);
  let folder: string;
  let before: string | undefined;
  beforeEach(async () => {
    before = process.env["TR0N_CACHE"];
    folder = await mkdtemp(join(tmpdir(), "tr0n-cache-"));
    process.env["TR0N_CACHE"] = folder;
    native().forgetBlockRules();
  });
  afterEach(async () => {
    if (before === undefined) delete process.env["TR0N_CACHE"];
    else process.env["TR0N_CACHE"] = before;
    await rm(folder, { recursive: true, force: true });
  });

  it("costs at most four times the second, with a decoder with attention and a vision transformer", async () => {
    using generator = await loadModel(attentionDecoder());
    using encoder = await loadModel(visionTransformer());
    using tr0n = await Tr0n.create({ generator, encoder, energy: energy.cosine(), seed: 1 });
    const z = await tr0n.drawPrior(4, { seed: 1 });
    const first = await rowsOf(() => tr0n.encode(z));
    const second = await rowsOf(() => tr0n.encode(z));
    assert.equal(second.rows, 4, "rows that take long are not padded");
    assert.ok(first.rows <= 4 * second.rows, `${first.rows} rows, then ${second.rows}`);
    sameBits(first.result.data, second.result.data, "encode");
    const alone = await tr0n.encode({ data: z.data.slice(0, z.shape[1]), shape: [1, z.shape[1]!] });
    sameBits(alone.data, first.result.data.subarray(0, alone.data.length), "the first of four");
  });

  /** Encodes four latents with a new Tr0n that remembers nothing but what files say. */
  async function encodeAnew(): Promise<{ rows: number; result: Tensor; rules: readonly NativeBlockRule[] }> {
    native().forgetBlockRules();
    using tr0n = await demo();
    const z = await tr0n.drawPrior(4, { seed: 2 });
    const run = await rowsOf(() => tr0n.encode(z));
    return { ...run, rules: tr0n.objective.blockRules };
  }

  it("keeps what was found in the cache, and never trusts a damaged one", async () => {
    const first = await encodeAnew();
    assert.ok(first.rows > 6 && first.rows <= 3 * 32 + 32, `${first.rows} rows`);
    const [name] = await readdir(join(folder, "blocks"));
    const path = join(folder, "blocks", name!);
    const good = await readFile(path, "utf8");
    const second = await encodeAnew();
    assert.ok(second.rows <= 2 + 32 && second.rows < first.rows / 2, `${second.rows} rows with a cache`);
    assert.deepEqual(second.rules, first.rules);
    sameBits(second.result.data, first.result.data, "with a cache");

    const signed = (rules: unknown): string =>
      JSON.stringify({
        rules,
        sha256: createHash("sha256").update(JSON.stringify(rules)).digest("hex"),
      });
    const [rule] = first.rules as [NativeBlockRule];
    for (const bad of [
      "",
      "{",
      "null",
      good.slice(0, -10),
      good.replace(`"granularity":${rule.granularity}`, `"granularity":${rule.granularity + 1}`),
      signed([{ ...rule, rows: 64 }]),
      signed([{ ...rule, granularity: 3, rows: 8 }]),
      signed([{ ...rule, granularity: -1 }]),
      signed([{ ...rule, key: "0".repeat(64) }]),
      signed([{ ...rule, rows: "32" }]),
      signed({ rules: rule }),
      "x".repeat(1 << 20),
    ]) {
      await writeFile(path, bad);
      const again = await encodeAnew();
      assert.equal(again.rows, first.rows, `found out again with ${bad.slice(0, 60)}`);
      assert.deepEqual(again.rules, first.rules);
      sameBits(again.result.data, first.result.data, bad.slice(0, 60));
    }
  });

  it("works without a cache, and without room for one", async () => {
    process.env["TR0N_CACHE"] = "off";
    const off = await encodeAnew();
    assert.deepEqual(await readdir(folder), []);
    const file = join(folder, "a-file");
    await writeFile(file, "");
    process.env["TR0N_CACHE"] = join(file, "below");
    const nowhere = await encodeAnew();
    assert.equal(nowhere.rows, off.rows);
    sameBits(nowhere.result.data, off.result.data, "nowhere to write");
  });

  it("keeps what was found in translator files", async () => {
    process.env["TR0N_CACHE"] = "off";
    const path = join(folder, "t.safetensors");
    using tr0n = await demo();
    const z = await tr0n.drawPrior(4, { seed: 2 });
    await tr0n.train({ pairs: 256, epochs: 1, seed: 1 });
    const encoded = await tr0n.encode(z);
    await tr0n.save(path);
    const rules = tr0n.objective.blockRules;
    assert.ok(rules.length > 0);

    const models = { generator: modelFile("gan-generator"), encoder: modelFile("classifier") };
    native().forgetBlockRules();
    using loaded = await Tr0n.load(path, models);
    const { rows, result } = await rowsOf(() => loaded.encode(z));
    assert.ok(rows <= 2 + 32, `${rows} rows`);
    sameBits(result.data, encoded.data, "encode");

    // A file of an older version has none, and one that somebody tampered with loads all the same.
    const bytes = await readFile(path);
    for (const change of [
      (text: string) => text.replace(/,\\"blocks\\":\[[^\]]*\]/, ""),
      (text: string) => text.replace(/\\"rows\\":\d+/, (found) => found.replace(/\d+/, "64")),
      (text: string) => text.replace(/\\"blocks\\":\[/, '\\"blocks\\":[null,7,'),
    ]) {
      const length = Number(bytes.readBigUInt64LE(0));
      const header = Buffer.from(change(bytes.toString("latin1", 8, 8 + length)).trimEnd(), "latin1");
      assert.notEqual(header.toString("latin1"), bytes.toString("latin1", 8, 8 + length).trimEnd());
      const padded = Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8, " ")]);
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(BigInt(padded.length));
      await writeFile(path, Buffer.concat([size, padded, bytes.subarray(8 + length)]));
      native().forgetBlockRules();
      using changed = await Tr0n.load(path, models);
      sameBits((await changed.encode(z)).data, encoded.data, "encode");
    }
  });

  it("tells how far it is, and ends with what the listener throws", async () => {
    const seen: OpeningProgress[] = [];
    let failing = false;
    const onOpening = (progress: OpeningProgress): void => {
      if (failing) throw new Error("enough");
      seen.push(progress);
    };
    using tr0n = await demo("gan", { onOpening });
    const z = await tr0n.drawPrior(1, { seed: 1 });
    const stages = (): string[] => [...new Set(seen.splice(0).map(({ stage }) => stage))];
    assert.deepEqual(
      seen.map(({ done, total }) => [done, total]),
      [
        [0, 2],
        [1, 2],
        [2, 2],
      ],
    );
    assert.deepEqual(stages(), ["models"]);
    failing = true;
    await assert.rejects(tr0n.encode(z), /enough/);
    failing = false;
    await tr0n.encode(z);
    assert.equal(seen.at(-1)!.done, seen.at(-1)!.total);
    assert.deepEqual(stages(), ["conditions"]);
    await tr0n.encode(z);
    await tr0n.generate(z);
    assert.deepEqual(stages(), ["images"]);
    await tr0n.objective.native(true);
    assert.deepEqual(
      seen.map(({ done, total }) => [done, total]),
      [0, 1, 2, 3].map((done) => [done, 3]),
    );
    await assert.rejects(demo("gan", { onOpening: 3 as never }), {
      code: "ERR_INVALID_ARGUMENT",
      message: /onOpening/,
    });
  });

  it("can be aborted while models are opened, and begins anew", async () => {
    using generator = await loadModel(cellDecoder(40));
    using encoder = await loadModel(smallClassifier(8));
    let stop = new AbortController();
    const stages: string[] = [];
    using tr0n = await Tr0n.create({
      generator,
      encoder,
      seed: 1,
      onOpening: ({ stage, done }) => {
        stages.push(`${stage} ${done}`);
        if (stage === "gradient" && done === 1) setTimeout(() => stop.abort(new Error("enough")), 1);
      },
    });
    await assert.rejects(tr0n.objective.native(true, stop.signal), { code: "ERR_ABORTED" });
    assert.equal(stages.at(-1), "gradient 1", "it ended between joining and differentiating");
    const jobs = (): number => native().counters().jobs;
    for (let i = 0; jobs() > 0 && i < 500; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(jobs(), 0, "and nothing goes on");
    assert.equal(stages.at(-1), "gradient 1");
    // One caller's abort is not another's.
    stop = new AbortController();
    const other = tr0n.objective.native(true);
    const mine = assert.rejects(tr0n.objective.native(true, stop.signal), { code: "ERR_ABORTED" });
    await mine;
    assert.ok(await other);
  });

  it("has the runtime give up opening a session", async () => {
    const model = cellDecoder(60);
    const cost = async (cancel: boolean): Promise<number> => {
      const start = process.cpuUsage();
      const job = native().openSession(model, { threads: 1 });
      if (cancel) setTimeout(() => job.cancel(), 20);
      await job.promise.then(
        (session) => session.dispose(),
        (error: { code: string }) => assert.equal(error.code, "ERR_ABORTED"),
      );
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    const whole = await cost(false);
    const cancelled = await cost(true);
    assert.ok(cancelled < whole / 2, `${cancelled} µs of ${whole}`);
  });
});
