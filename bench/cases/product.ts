/** The matrix products of the official translator's layers against PyTorch's, which are OpenBLAS's. */
import { median } from "../../lib/bench/statistics.js";
import { runJob } from "../../lib/native/job.js";
import { native } from "../../lib/native/binding.js";
import { policies, type Case } from "../case.js";

const shapes = [16, 64, 256, 1024].flatMap((rows): [number, number, number][] => [
  [rows, 2048, 512],
  [rows, 2048, 2048],
  [rows, 1280, 2048],
]);

const product: Case = {
  name: "product",
  summary: "products [m, k]·[n, k]ᵀ of the official translator's layers",
  async run({ limits, python, peer, seconds }) {
    const theirs: number[][] = [];
    for (const policy of python === null ? [] : policies) {
      const argument = { shapes, seconds: seconds / 8, least: 9 };
      theirs.push((await peer<{ rates: number[] }>("product.py", argument, policy)).rates);
    }
    const rows = [];
    for (const [i, [m, n, k]] of shapes.entries()) {
      const runs = Math.max(
        9,
        Math.min(200, Math.round((seconds / 8) * (limits.arithmetic / (2 * m * n * k)))),
      );
      // Checks elements against sums in float64 first.
      const ours = median(await runJob("bench", undefined, () => native().measureProduct(m, n, k, runs)));
      const best = Math.max(...theirs.map((rates) => rates[i]!));
      rows.push({
        name: `${m} × ${n} × ${k}`,
        unit: "GFLOP/s",
        ours: ours / 1e9,
        peers: theirs.length === 0 ? undefined : { PyTorch: best / 1e9 },
        limit: { value: limits.arithmetic / 1e9, by: "arithmetic" },
        target: m === 1024 ? 0.85 : undefined,
      } as const);
    }
    return rows;
  },
};
export default product;
