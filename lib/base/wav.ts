/** Sounds as WAV files. */
import { extname } from "node:path";
import { writeFileAtomic } from "./atomic-write.js";
import { checkPath, shapeText } from "./check.js";
import { ArgumentError, AbortError, invalid } from "./errors.js";
import { checkTensor, type Tensor } from "./tensor.js";

export type WavFormat = "pcm16" | "float32";

export interface WavOptions {
  /** Samples a second, e.g. 16000. */
  rate: number;
  /** "pcm16": whole numbers of 16 bits, which every player knows; beyond [-1, 1] they are limited. "float32": as they are. Default "pcm16". */
  format?: WavFormat;
  signal?: AbortSignal;
}

/** What the header has room for. */
const mostChannels = 64;
const mostBytes = 2 ** 32 - 1 - 64;

/** Sizes of signals [n, T] or [n, C, T]. */
interface Signals {
  readonly n: number;
  readonly channels: number;
  readonly length: number;
}

/** @throws ArgumentError ERR_SHAPE_MISMATCH for rows that are no sounds */
export function signalsOf(name: string, shape: readonly number[]): Signals {
  const [n = 0, ...row] = shape;
  const [channels = 0, length = 0] = row.length === 1 ? [1, row[0]] : row;
  if (row.length < 1 || row.length > 2 || n < 1 || length < 1 || channels < 1 || channels > mostChannels)
    throw new ArgumentError(
      `${name}: expected signals [n, T] or [n, 1 … ${mostChannels} channels, T] with at least one, got ${shapeText(shape)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { n, channels, length };
}

/** Where each of n sounds is written: the path itself where there is one, else with a number before its end. */
export function wavPaths(path: string, n: number): string[] {
  if (n === 1) return [path];
  const end = extname(path);
  const width = String(n - 1).length;
  return Array.from(
    { length: n },
    (_, i) => `${path.slice(0, path.length - end.length)}-${String(i).padStart(width, "0")}${end}`,
  );
}

/** @throws ArgumentError for a rate that no player has */
function checkRate(name: string, rate: unknown): number {
  if (!Number.isSafeInteger(rate) || (rate as number) < 1 || (rate as number) > 2 ** 24)
    throw invalid(name, "samples a second, a whole number such as 16000", rate);
  return rate as number;
}

/**
 * Writes signals [n, T] or [n, C, T] as WAV files: one as `path`, several as `path` with -0, -1, … before its end. Each is written
 * atomically, as {@link writeImages} does.
 *
 * @returns the files' paths, in the order of the signals
 * @throws FileError ERR_IO (unwritable path, full disk) naming the path; ArgumentError, also for numbers that are not finite;
 *   AbortError
 */
export async function writeWav(path: string, signals: Tensor, options: WavOptions): Promise<string[]> {
  checkPath("path", path);
  if (extname(path).toLowerCase() !== ".wav")
    throw new ArgumentError(`path: expected a name that ends in .wav, got ${JSON.stringify(path)}`);
  checkTensor("signals", signals);
  const { rate, format = "pcm16", signal } = options ?? {};
  checkRate("options.rate", rate);
  if (format !== "pcm16" && format !== "float32")
    throw invalid("options.format", '"pcm16" or "float32"', format);
  const { n, channels, length } = signalsOf("signals", signals.shape);
  const size = channels * length;
  const bytes = size * (format === "pcm16" ? 2 : 4);
  if (bytes > mostBytes)
    throw new ArgumentError(`signals: expected sounds of at most ${mostBytes} bytes, got ${bytes}`);
  const data = new Float32Array(signals.data);
  const paths = wavPaths(path, n);
  for (const [i, file] of paths.entries()) {
    const numbers = await interleaved(data.subarray(i * size, (i + 1) * size), channels, format, i * size);
    const header = wavHeader({ rate, format, channels, bytes });
    await writeFileAtomic(file, [header, numbers], { signal });
    if (signal?.aborted) throw new AbortError("writing signals", { cause: signal.reason as unknown });
  }
  return paths;
}

function wavHeader(of: { rate: number; format: WavFormat; channels: number; bytes: number }): Uint8Array {
  const { rate, format, channels, bytes } = of;
  const width = format === "pcm16" ? 2 : 4;
  const header = Buffer.alloc(44);
  header.write("RIFF", 0, "latin1");
  header.writeUInt32LE(36 + bytes, 4);
  header.write("WAVEfmt ", 8, "latin1");
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(format === "pcm16" ? 1 : 3, 20); // whole numbers, or IEEE floats
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * channels * width, 28);
  header.writeUInt16LE(channels * width, 32);
  header.writeUInt16LE(8 * width, 34);
  header.write("data", 36, "latin1");
  header.writeUInt32LE(bytes, 40);
  return header;
}

/** Numbers that are moved before others have their turn. */
const atOnce = 1 << 19;

/** A signal [C, T] as files have it, [T, C]. @throws ArgumentError for a number that is not finite */
async function interleaved(
  signal: Float32Array,
  channels: number,
  format: WavFormat,
  first: number,
): Promise<Uint8Array> {
  const length = signal.length / channels;
  const whole = format === "pcm16";
  const numbers = whole ? new Int16Array(signal.length) : new Float32Array(signal.length);
  for (let i = 0; i < signal.length; i++) {
    const from = (i % channels) * length + Math.floor(i / channels);
    const x = signal[from]!;
    if (!Number.isFinite(x))
      throw new ArgumentError(`signals: expected finite numbers, got ${x} at index ${first + from}`);
    numbers[i] = whole ? Math.round(Math.min(Math.max(x, -1), 1) * 32_767) : x;
    if ((i + 1) % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return new Uint8Array(numbers.buffer);
}
