import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { writeFileAtomic } from "../../lib/base/atomic-write.js";
import { imageGrid, writeImages } from "../../lib/image/grid.js";
import { readImage } from "../../lib/image/read.js";
import { elementCount, tensor, type Tensor } from "../../lib/base/tensor.js";

/** An image whose every value is an 8-bit level, all different along each axis. */
function pattern(n: number, channels: number, height: number, width: number): Tensor {
  const shape = [n, channels, height, width];
  const levels = Array.from({ length: elementCount(shape) }, (_, i) => (i * 7) % 256);
  return tensor(
    levels.map((level) => (level / 255) * 2 - 1),
    shape,
  );
}

describe("image", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tr0n-image-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("comes back from a PNG as it was written", async () => {
    const image = pattern(1, 3, 5, 7);
    const path = join(folder, "a.png");
    await writeImages(path, image, { gap: 0 });
    const back = await readImage(path);
    assert.deepEqual(back.shape, [1, 3, 5, 7]);
    image.data.forEach((value, i) => assert.ok(Math.abs(value - back.data[i]!) < 1e-6, `${i}`));
    assert.deepEqual(await readdir(folder), ["a.png"]);
  });

  it("lays images out row by row, with gaps and whole-pixel scaling", () => {
    const images = pattern(3, 3, 2, 2);
    const grid = imageGrid(images, { columns: 2, gap: 1, scale: 2, background: [9, 8, 7] });
    assert.deepEqual([grid.width, grid.height], [11, 11]);
    const at = (x: number, y: number): number[] => [
      ...grid.data.subarray(3 * (y * 11 + x), 3 * (y * 11 + x) + 3),
    ];
    const level = (i: number, k: number, y: number, x: number): number =>
      ((((i * 3 + k) * 2 + y) * 2 + x) * 7) % 256;
    const pixel = (i: number, y: number, x: number): number[] => [0, 1, 2].map((k) => level(i, k, y, x));
    assert.deepEqual(at(0, 0), [9, 8, 7]);
    assert.deepEqual(at(1, 1), pixel(0, 0, 0));
    assert.deepEqual(at(2, 2), pixel(0, 0, 0));
    assert.deepEqual(at(3, 2), pixel(0, 0, 1));
    assert.deepEqual(at(6, 4), pixel(1, 1, 0));
    assert.deepEqual(at(1, 6), pixel(2, 0, 0));
    assert.deepEqual(at(6, 6), [9, 8, 7]); // no fourth image
  });

  it("clamps, and shows one channel as grey", () => {
    const grid = imageGrid(tensor([-3, 0, 1, 9], [1, 1, 1, 4]), { gap: 0 });
    assert.deepEqual([...grid.data], [0, 0, 0, 128, 128, 128, 255, 255, 255, 255, 255, 255]);
  });

  it("reads other formats, transparency over white, grey, and the size asked for", async () => {
    const half = Buffer.from([255, 0, 0, 0, 0, 0, 255, 255]); // a transparent and a blue pixel
    await sharp(half, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toFile(join(folder, "alpha.png"));
    const alpha = await readImage(join(folder, "alpha.png"));
    assert.deepEqual([...alpha.data], [1, -1, 1, -1, 1, 1]);
    await sharp(Buffer.alloc(12 * 9, 128), { raw: { width: 12, height: 9, channels: 1 } })
      .webp({ lossless: true })
      .toFile(join(folder, "grey.webp"));
    const grey = await readImage(join(folder, "grey.webp"), { height: 4, width: 6 });
    assert.deepEqual(grey.shape, [1, 3, 4, 6]);
    for (const value of grey.data) assert.ok(Math.abs(value - (128 / 255) * 2 + 1) < 0.01);
  });

  it("names the file that is missing, is no image, or is a folder", async () => {
    const missing = join(folder, "none.png");
    await assert.rejects(
      readImage(missing),
      (e: Error) => e.message.includes(missing) && codeOf(e) === "ERR_IO",
    );
    await assert.rejects(readImage(folder), { code: "ERR_IO" });
    const text = join(folder, "text.png");
    for (const bytes of [
      "",
      "not an image",
      (
        await sharp({ create: { width: 9, height: 9, channels: 3, background: "red" } })
          .png()
          .toBuffer()
      ).subarray(0, 60),
    ]) {
      await writeFile(text, bytes);
      await assert.rejects(
        readImage(text),
        (e: Error) => e.message.includes(text) && codeOf(e) === "ERR_FILE_INVALID",
      );
    }
  });

  it("refuses what cannot be drawn", async () => {
    const path = join(folder, "x.png");
    const cases: [Tensor, object, string][] = [
      [tensor([], [0, 3, 2, 2]), {}, "ERR_SHAPE_MISMATCH"],
      [tensor([1, 2], [1, 2, 1, 1]), {}, "ERR_SHAPE_MISMATCH"],
      [tensor([1, 2], [2]), {}, "ERR_SHAPE_MISMATCH"],
      [tensor([NaN], [1, 1, 1, 1]), {}, "ERR_INVALID_ARGUMENT"],
      [tensor([1], [1, 1, 1, 1]), { columns: 0 }, "ERR_INVALID_ARGUMENT"],
      [tensor([1], [1, 1, 1, 1]), { scale: 1.5 }, "ERR_INVALID_ARGUMENT"],
      [tensor([1], [1, 1, 1, 1]), { scale: 100_000 }, "ERR_INVALID_ARGUMENT"],
    ];
    for (const [images, options, code] of cases)
      await assert.rejects(writeImages(path, images, options), { code });
    assert.deepEqual(await readdir(folder), []);
  });

  it("keeps the old file when writing fails, and leaves nothing behind", async () => {
    const path = join(folder, "kept.txt");
    await writeFileAtomic(path, "old");
    const stop = new AbortController();
    stop.abort();
    await assert.rejects(writeFileAtomic(path, "new", { signal: stop.signal }), { code: "ERR_ABORTED" });
    assert.equal(await readFile(path, "utf8"), "old");
    assert.deepEqual(await readdir(folder), ["kept.txt"]);

    const isFile = join(path, "below.png"); // a file where a folder must be
    await assert.rejects(
      writeFileAtomic(isFile, "x"),
      (e: Error) => e.message.includes(isFile) && codeOf(e) === "ERR_IO",
    );
    await mkdir(join(folder, "taken"));
    await writeFile(join(folder, "taken", "inside"), "");
    await assert.rejects(writeFileAtomic(join(folder, "taken"), "x"), { code: "ERR_IO" });
    assert.deepEqual((await readdir(folder)).sort(), ["kept.txt", "taken"]);
  });

  it("says so when the folder cannot be written", async () => {
    const root = process.getuid?.() === 0;
    const locked = root ? "/sys" : join(folder, "locked"); // root may write anywhere but there
    if (!root) {
      await mkdir(locked);
      await chmod(locked, 0o500);
    }
    const path = join(locked, "x");
    await assert.rejects(
      writeFileAtomic(path, "x"),
      (e: Error) =>
        e.message.includes(path) && /permission|read-only/.test(e.message) && codeOf(e) === "ERR_IO",
    );
  });
});

function codeOf(error: Error): string | undefined {
  return (error as Error & { code?: string }).code;
}
