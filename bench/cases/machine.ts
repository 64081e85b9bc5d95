/** What the machine can do, as the limits of the other cases. */
import type { Case } from "../case.js";

const machine: Case = {
  name: "machine",
  summary: "arithmetic in registers, copies in memory",
  run: ({ limits }) =>
    Promise.resolve([
      {
        name: `arithmetic, ${limits.instructions}, ${limits.threads} threads`,
        unit: "GFLOP/s",
        ours: limits.arithmetic / 1e9,
      },
      { name: "copy, bytes read and written", unit: "GB/s", ours: limits.copy / 1e9 },
    ]),
};
export default machine;
