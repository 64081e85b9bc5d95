/**
 * Reference samples of p(z)·exp(−λE(z)) for energies whose acceptance rate rules rejection out: sequential Monte Carlo (Del
 * Moral, Doucet, Jasra 2006). A large pool of prior draws is weighted for a small fidelity, at which many of them count;
 * then the fidelity grows step by step, and at each step particles are resampled and moved by preconditioned
 * Crank–Nicolson proposals (Cotter et al. 2013), which leave the target at that fidelity unchanged. Nothing of tr0n's
 * samplers, translators or gradients is involved: only energies.
 */
import { uniformAt } from "../../lib/evaluate/exact.js";

/** What is sampled: rows of `width` latents, N(0, I) a priori. */
export interface Target {
  readonly width: number;
  /** Fidelity λ. */
  readonly fidelity: number;
  readonly conditions: number;
  /** N(0, I), [n, width]: rows first … of a list that differs for every `list`. */
  normals(list: number, first: number, n: number): Promise<Float32Array>;
  /** Energies of the rows z [n, width] for the condition of each, `condition[i]`. */
  energies(z: Float32Array, condition: Uint32Array): Promise<Float32Array>;
  /** Energies of each of the rows z [n, width] for all conditions, [n, conditions]. */
  allEnergies(z: Float32Array, n: number): Promise<Float32Array>;
}

export interface TemperingOptions {
  /** Particles of each condition. */
  particles: number;
  /** Prior draws, shared by the conditions. */
  pool: number;
  /** Moves at each fidelity on the way, and at the last. */
  moves?: number;
  lastMoves?: number;
  seed: number;
  onProgress?: (phase: string, done: number, total: number) => void;
}

export interface Tempered {
  /** By condition, [particles, width]. */
  readonly latents: readonly Float32Array[];
  /** By condition: fidelities on the way, those of the pool first and λ last. */
  readonly ladders: readonly (readonly number[])[];
  /** By condition: draws of the pool that still have descendants. */
  readonly ancestors: readonly number[];
  /** By condition: share of accepted moves at the last fidelity. */
  readonly acceptance: readonly number[];
}

const block = 4000;
/** Share of accepted moves that the step sizes aim at. */
const aim = 0.3;

export async function tempered(target: Target, o: TemperingOptions): Promise<Tempered> {
  const { width, conditions, fidelity } = target;
  const { particles, pool, moves = 10, lastMoves = 40, seed, onProgress } = o;
  let draws = 0;
  const uniform = (): number => uniformAt(seed, draws++);

  const energies = Array.from({ length: conditions }, () => new Float32Array(pool));
  for (let first = 0; first < pool; first += block) {
    const n = Math.min(block, pool - first);
    const rows = await target.allEnergies(await target.normals(0, first, n), n);
    for (let i = 0; i < n; i++)
      for (let c = 0; c < conditions; c++) energies[c]![first + i] = rows[i * conditions + c]!;
    onProgress?.("pool", first + n, pool);
  }

  // Starts: the pool weighted for a fidelity at which twice as many draws count as there are particles.
  const n = conditions * particles;
  const z = new Float32Array(n * width);
  const e = new Float32Array(n);
  const origin = new Uint32Array(n);
  const condition = Uint32Array.from({ length: n }, (_, i) => Math.floor(i / particles));
  const ladders: number[][] = [];
  for (let c = 0; c < conditions; c++) {
    const start = reach(energies[c]!, 0, fidelity, Math.min(2 * particles, pool / 2));
    ladders.push([start]);
    const chosen = systematic(weights(energies[c]!, start), particles, uniform());
    chosen.forEach((row, i) => {
      origin[c * particles + i] = row;
      e[c * particles + i] = energies[c]![row]!;
    });
  }
  await fetchRows(target, origin, z);

  const beta = new Float64Array(conditions).fill(0.3);
  const rate = new Float64Array(conditions);
  let list = 1;
  const sweep = async (): Promise<void> => {
    const noise = await target.normals(list++, 0, n);
    const next = new Float32Array(n * width);
    for (let i = 0; i < n; i++) {
      const b = beta[condition[i]!]!;
      const keep = Math.sqrt(1 - b * b);
      for (let j = i * width; j < (i + 1) * width; j++) next[j] = keep * z[j]! + b * noise[j]!;
    }
    const after = await target.energies(next, condition);
    rate.fill(0);
    for (let i = 0; i < n; i++) {
      const c = condition[i]!;
      if (Math.log(uniform()) >= -ladders[c]!.at(-1)! * (after[i]! - e[i]!)) continue;
      z.set(next.subarray(i * width, (i + 1) * width), i * width);
      e[i] = after[i]!;
      rate[c]! += 1 / particles;
    }
    // All particles of a condition share a step size, which depends on the sweep before only through their average.
    for (let c = 0; c < conditions; c++)
      beta[c] = Math.min(0.95, Math.max(0.01, beta[c]! * Math.exp(rate[c]! - aim)));
  };
  const colder = (): boolean => ladders.some((ladder) => ladder.at(-1)! < fidelity);
  for (let stage = 1; ; stage++) {
    for (let i = 0; i < moves; i++) await sweep();
    if (!colder()) break;
    onProgress?.("tempering", Math.min(...ladders.map((ladder) => ladder.at(-1)!)), fidelity);
    for (let c = 0; c < conditions; c++) {
      const from = ladders[c]!.at(-1)!;
      if (from >= fidelity) continue;
      const own = e.slice(c * particles, (c + 1) * particles);
      const to = reach(own, from, fidelity, 0.6 * particles);
      ladders[c]!.push(to);
      const chosen = systematic(weights(own, to - from), particles, uniform());
      const at = c * particles;
      const [oldZ, oldOrigin] = [
        z.slice(at * width, (at + particles) * width),
        origin.slice(at, at + particles),
      ];
      chosen.forEach((row, i) => {
        z.set(oldZ.subarray(row * width, (row + 1) * width), (at + i) * width);
        e[at + i] = own[row]!;
        origin[at + i] = oldOrigin[row]!;
      });
    }
  }
  const accepted = new Float64Array(conditions);
  for (let i = 0; i < lastMoves; i++) {
    await sweep();
    for (let c = 0; c < conditions; c++) accepted[c]! += rate[c]! / lastMoves;
    onProgress?.("last moves", i + 1, lastMoves);
  }
  const each = Array.from({ length: conditions }, (_, c) => c);
  return {
    latents: each.map((c) => z.slice(c * particles * width, (c + 1) * particles * width)),
    ladders,
    ancestors: each.map((c) => new Set(origin.subarray(c * particles, (c + 1) * particles)).size),
    acceptance: [...accepted],
  };
}

/** The pool's rows `origin` once more: a pool of latents need not be kept. */
async function fetchRows({ width, normals }: Target, origin: Uint32Array, z: Float32Array): Promise<void> {
  const order = [...origin.keys()].sort((a, b) => origin[a]! - origin[b]!);
  let rows = new Float32Array();
  let first = -1;
  for (const i of order) {
    const start = block * Math.floor(origin[i]! / block);
    if (start !== first) rows = new Float32Array(await normals(0, (first = start), block));
    const at = (origin[i]! - start) * width;
    z.set(rows.subarray(at, at + width), i * width);
  }
}

/** exp(−step·E), the largest 1. */
function weights(energies: Float32Array, step: number): Float64Array {
  const least = energies.reduce((a, b) => Math.min(a, b));
  return Float64Array.from(energies, (x) => Math.exp(-step * (x - least)));
}

export function effectiveSize(w: Float64Array): number {
  const sum = w.reduce((a, b) => a + b, 0);
  return sum ** 2 / w.reduce((a, b) => a + b * b, 0);
}

/** The largest fidelity up to `to` whose weights on top of `from` leave an effective sample size of `size`. */
function reach(energies: Float32Array, from: number, to: number, size: number): number {
  const enough = (at: number): boolean => effectiveSize(weights(energies, at - from)) >= size;
  if (enough(to)) return to;
  let [low, high] = [from, to];
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (enough(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** `count` indices in proportion to their weights, by systematic resampling from one uniform number. */
function systematic(w: Float64Array, count: number, u: number): Uint32Array {
  const total = w.reduce((a, b) => a + b, 0);
  const out = new Uint32Array(count);
  let sum = w[0]!;
  let index = 0;
  for (let i = 0; i < count; i++) {
    while (sum < ((i + u) / count) * total && index < w.length - 1) sum += w[++index]!;
    out[i] = index;
  }
  return out;
}
