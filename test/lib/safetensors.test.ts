import assert from "node:assert/strict";
import { decodeSafetensors, encodeSafetensors, takeTensor } from "../../lib/base/safetensors.js";
import { bits, rejects } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

/** A file with the given header text and bytes of data. */
function file(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(0),
  claimed?: bigint,
): Uint8Array {
  const head = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + head.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(head.length), true);
  bytes.set(head, 8);
  bytes.set(data, 8 + head.length);
  return bytes;
}

function header(entries: Record<string, unknown>): string {
  return JSON.stringify(entries);
}

const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

describe("safetensors", () => {
  it("brings tensors and metadata back bit for bit, scalars and empty ones too", () => {
    const tensors = new Map([
      ["a.weight", { data: numbers(1, 6), shape: [2, 3] }],
      ["scalar", { data: Float32Array.of(-0), shape: [] }],
      ["empty", { data: new Float32Array(0), shape: [0, 4] }],
      ["nan", { data: Float32Array.of(Number.NaN, Infinity), shape: [2] }],
    ]);
    const bytes = encodeSafetensors(tensors, new Map([["note", 'quotes " and ünïcode']]));
    const back = decodeSafetensors(bytes, "file");
    assert.deepEqual([...back.tensors.keys()], [...tensors.keys()]);
    for (const [name, { data, shape }] of tensors) {
      assert.equal(bits(back.tensors.get(name)!.data), bits(data), name);
      assert.deepEqual(back.tensors.get(name)!.shape, shape);
    }
    assert.equal(back.metadata.get("note"), 'quotes " and ünïcode');
  });

  it("aligns data to 8 bytes, and reads from the middle of a buffer at any offset", () => {
    const bytes = encodeSafetensors(new Map([["x", { data: Float32Array.of(1.5, -2), shape: [2] }]]));
    assert.equal(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8, 0);
    const shifted = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
    assert.deepEqual([...decodeSafetensors(shifted, "file").tensors.get("x")!.data], [1.5, -2]);
  });

  it("reads F64, F16 and BF16 as float32", () => {
    const read = (dtype: string, data: Uint8Array, count: number): number[] => {
      const text = header({ x: { dtype, shape: [count], data_offsets: [0, data.length] } });
      return [...decodeSafetensors(file(text, data), "file").tensors.get("x")!.data];
    };
    assert.deepEqual(read("F64", new Uint8Array(Float64Array.of(0.5, -3).buffer), 2), [0.5, -3]);
    // 1, −2, the largest, the smallest subnormal, −0, infinity
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00);
    assert.deepEqual(read("F16", new Uint8Array(halves.buffer), 6), [1, -2, 65504, 2 ** -24, -0, Infinity]);
    assert.deepEqual(read("BF16", new Uint8Array(Uint16Array.of(0x3f80, 0xc040).buffer), 2), [1, -3]);
  });

  const eight = new Uint8Array(8);
  const hostile: [string, Uint8Array, RegExp][] = [
    ["nothing", new Uint8Array(0), /at least 8 bytes, got 0/],
    ["a few bytes", new Uint8Array(7), /at least 8 bytes, got 7/],
    ["a header longer than the file", file("{}", undefined, 1000n), /claims 1000 bytes, the file has 2/],
    ["a header of 2^63 bytes", file("{}", undefined, 2n ** 63n), /claims 9223372036854775808/],
    ["no JSON", file("{nonsense"), /not JSON/],
    ["bytes that are no UTF-8", file(Uint8Array.of(0x7b, 0xff, 0x7d)), /not JSON/],
    ["an array", file("[]"), /not a JSON object/],
    ["null", file("null"), /not a JSON object/],
    ["an entry that is a number", file(header({ x: 1 })), /"x" is not an object/],
    ["an unknown type", file(header({ x: { ...f32([2], 0, 8), dtype: "Q4" } }), eight), /got "Q4"/],
    [
      "a type of Object.prototype",
      file(header({ x: { ...f32([2], 0, 8), dtype: "toString" } }), eight),
      /type F32/,
    ],
    ["a negative dimension", file(header({ x: f32([-2], 0, 8) }), eight), /not a list of sizes/],
    [
      "a shape that overflows",
      file(header({ x: f32([2 ** 40, 2 ** 40], 0, 8) }), eight),
      /expected .* bytes/,
    ],
    ["too few bytes for the shape", file(header({ x: f32([3], 0, 8) }), eight), /expected 12 bytes/],
    ["data beyond the end", file(header({ x: f32([2], 4, 12) }), eight), /range 4 … 12/],
    ["an end before its begin", file(header({ x: f32([0], 8, 0) }), eight), /range 8 … 0/],
    ["one offset", file(header({ x: { ...f32([2], 0, 8), data_offsets: [0] } }), eight), /two positions/],
    ["a fractional offset", file(header({ x: f32([2], 0.5, 8.5) }), eight), /two positions/],
    [
      "overlapping tensors",
      file(header({ x: f32([2], 0, 8), y: f32([2], 0, 8) }), eight),
      /expected its data at 8/,
    ],
    ["a hole", file(header({ x: f32([1], 4, 8) }), eight), /expected its data at 0, got 4/],
    ["bytes after the data", file(header({ x: f32([1], 0, 4) }), eight), /expected 4 bytes of data, got 8/],
    ["metadata that is no text", file(header({ __metadata__: { a: 1 } })), /"a" is not a string/],
  ];
  for (const [name, bytes, message] of hostile)
    it(`refuses ${name}`, () => rejects(() => decodeSafetensors(bytes, "file"), "ERR_FILE_INVALID", message));

  it("refuses a file that is cut anywhere", async () => {
    const bytes = encodeSafetensors(
      new Map([["x", { data: numbers(1, 4), shape: [4] }]]),
      new Map([["a", "b"]]),
    );
    for (let length = 0; length < bytes.length; length += 5)
      await rejects(() => decodeSafetensors(bytes.subarray(0, length), "file"), "ERR_FILE_INVALID");
  });

  it("takes a tensor only when its shape fits and all numbers are finite", async () => {
    const sound = decodeSafetensors(
      encodeSafetensors(
        new Map([
          ["x", { data: numbers(1, 4), shape: [2, 2] }],
          ["bad", { data: Float32Array.of(1, Number.NaN), shape: [2] }],
        ]),
      ),
      "file",
    );
    assert.equal(takeTensor(sound, "file", "x", [2, 2]).length, 4);
    await rejects(
      () => takeTensor(sound, "file", "x", [4]),
      "ERR_FILE_INVALID",
      /expected the shape \[4\], got \[2, 2\]/,
    );
    await rejects(() => takeTensor(sound, "file", "y", [4]), "ERR_FILE_INVALID", /expected a tensor "y"/);
    await rejects(() => takeTensor(sound, "file", "bad", [2]), "ERR_FILE_INVALID", /got NaN at index 1/);
  });
});
