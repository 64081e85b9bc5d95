/** Archives of TorchScript taken apart and put together again, with checksums that are right. */
import { crc32, inflateRawSync } from "node:zlib";

/** Records by their names without the folder that all lie in. */
export type Records = Map<string, Buffer>;

const folder = "archive/";

export function readArchive(bytes: Uint8Array): Records {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = data.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  const records: Records = new Map();
  for (let at = data.readUInt32LE(end + 16); data.readUInt32LE(at) === 0x02014b50;) {
    const [method, size] = [data.readUInt16LE(at + 10), data.readUInt32LE(at + 20)];
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => data.readUInt16LE(at + field));
    const name = data.toString("utf8", at + 46, at + 46 + nameLength!);
    const local = data.readUInt32LE(at + 42);
    const start = local + 30 + data.readUInt16LE(local + 26) + data.readUInt16LE(local + 28);
    const stored = data.subarray(start, start + size);
    records.set(name.slice(name.indexOf("/") + 1), method === 0 ? stored : inflateRawSync(stored));
    at += 46 + nameLength! + extra! + comment!;
  }
  return records;
}

/** Nothing is compressed. */
export function writeArchive(records: Records): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, data] of records) {
    const path = Buffer.from(folder + name);
    const common = Buffer.alloc(26);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(path.length, 22);
    directory.push(
      Buffer.from("PK\x01\x02\x00\x00", "latin1"),
      common,
      Buffer.alloc(10),
      Buffer.from(Uint32Array.of(at).buffer),
      path,
    );
    const part = [Buffer.from("PK\x03\x04", "latin1"), common, path, data];
    parts.push(...part);
    at += part.reduce((sum, { length }) => sum + length, 0);
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(records.size, 8);
  end.writeUInt16LE(records.size, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return new Uint8Array(Buffer.concat([...parts, list, end]));
}

/** A copy with some records replaced. */
export function changed(records: Records, changes: Readonly<Record<string, Uint8Array | string>>): Records {
  const copy = new Map(records);
  for (const [name, data] of Object.entries(changes)) copy.set(name, Buffer.from(data as Uint8Array));
  return copy;
}
