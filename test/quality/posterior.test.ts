/**
 * Sample quality against the ground truth: exact conditional samples by rejection. Seeds are fixed, so a run on one kind of
 * processor repeats itself; the bounds are the project's promises, not what happened to come out.
 */
import assert from "node:assert/strict";
import { evaluate, type Evaluation, type EvaluationRow } from "../../lib/evaluate.js";
import { sampler, type TrainReport } from "../../lib/index.js";
import { demo } from "../support/demo.js";

for (const generator of ["gan", "vae"] as const)
  describe(`quality on the demo ${generator.toUpperCase()}`, function () {
    this.timeout(600_000);
    let report: TrainReport;
    let table: Evaluation;
    const row = (name: string): EvaluationRow => table.rows.find((r) => r.recipe === name)!;

    before(async () => {
      using tr0n = await demo(generator, { seed: 1 });
      report = await tr0n.train({ pairs: 30_000 });
      table = await evaluate(tr0n, {
        seed: 2,
        samples: 500,
        reference: 800,
        recipes: [{ name: "default" }, { name: "translator", sampler: sampler.direct() }],
      });
      const sharp = await evaluate(tr0n, {
        seed: 3,
        samples: 50,
        reference: 50,
        recipes: [{ name: "fidelity 10", sampler: sampler.resample({ fidelity: 10 }) }],
      });
      table = { ...table, rows: [...table.rows, ...sharp.rows.slice(1)] };
    });

    it("the translator fits better than the prior", () => {
      assert.ok(report.gap < 0, `held-out NLL minus the prior's entropy is ${report.gap}`);
      assert.deepEqual(report.warnings, []);
    });

    it("the default sampler's accuracy is within 1.5 points of exact rejection's", () => {
      const exact = table.rows[0]!.accuracy;
      const ours = row("default").accuracy;
      assert.ok(Math.abs(ours - exact) <= 0.015, `accuracy ${ours}, exact ${exact}`);
    });

    it("its Fréchet distance to exact samples is at most 1.5 times the floor", () => {
      const { fd, fdOverFloor } = row("default");
      assert.ok(fdOverFloor <= 1.5, `FD ${fd}, floor ${table.floor}`);
    });

    it("and says more than the translator alone, so the measure can tell", () => {
      assert.ok(row("translator").fdOverFloor > 1.5, `FD ${row("translator").fd}, floor ${table.floor}`);
    });

    it("fidelity 10 reaches accuracy 0.99", () => {
      const { accuracy } = row("fidelity 10");
      assert.ok(accuracy >= 0.99, `accuracy ${accuracy}`);
    });
  });
