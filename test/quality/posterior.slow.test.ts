/**
 * Sample quality against the ground truth: exact conditional samples by rejection. Seeds are fixed, so a run on one kind of
 * processor repeats itself; the bounds are the project's promises, not what happened to come out.
 */
import assert from "node:assert/strict";
import { evaluate } from "../../lib/evaluate/evaluate.js";
import type { Evaluation, EvaluationRow } from "../../lib/evaluate/report.js";
import { sampler, type TrainReport } from "../../lib/index.js";
import { demo } from "../support/demo.js";

/** Forward passes that a gradient costs where evaluations are counted together (measured: 2.2 to 2.4). */
const gradientCost = 2.4;

for (const generator of ["gan", "vae"] as const)
  describe(`quality on the demo ${generator.toUpperCase()}`, function () {
    this.timeout(600_000);
    let report: TrainReport;
    let table: Evaluation;
    let naive: Evaluation;
    const row = (name: string): EvaluationRow => table.rows.find((r) => r.recipe === name)!;

    before(async () => {
      using tr0n = await demo(generator, { seed: 1 });
      report = await tr0n.train();
      table = await evaluate(tr0n, {
        seed: 2,
        // So many that a point of accuracy is two and a half standard errors of the difference.
        samples: 1200,
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
      // At least the default's evaluations, from the prior: all in steps (13 gradients), or candidates and steps as it has.
      const { forwards } = row("default");
      naive = await evaluate(tr0n, {
        seed: 4,
        samples: 150,
        reference: 400,
        recipes: [
          { name: "default" },
          { name: "steps", sampler: sampler.mala({ start: "prior", steps: 12 }) },
          {
            name: "candidates",
            sampler: sampler.resample({ priorFraction: 1, candidates: Math.ceil(forwards), minEss: 0 }),
          },
        ],
      });
    });

    it("the translator fits better than the prior", () => {
      assert.ok(report.gap < 0, `held-out NLL minus the prior's entropy is ${report.gap}`);
      assert.deepEqual(report.warnings, []);
    });

    it("the default sampler's accuracy is within a point of exact rejection's", () => {
      const exact = table.rows[0]!.accuracy;
      const ours = row("default").accuracy;
      assert.ok(Math.abs(ours - exact) <= 0.01, `accuracy ${ours}, exact ${exact}`);
    });

    it("its Fréchet distance to exact samples is at most 1.3 times the floor", () => {
      const { fd, fdOverFloor } = row("default");
      assert.ok(fdOverFloor <= 1.3, `FD ${fd}, floor ${table.floor}`);
    });

    it("it costs at most 30 forward passes a sample", () => {
      const { forwards, gradients } = row("default");
      const cost = forwards + gradientCost * gradients;
      assert.ok(cost <= 30, `${forwards} forward passes and ${gradients} gradients: ${cost}`);
    });

    for (const name of ["steps", "candidates"])
      it(`it beats as many evaluations from the prior, spent on ${name}`, () => {
        const [, ours] = naive.rows;
        const other = naive.rows.find((r) => r.recipe === name)!;
        const cost = (r: EvaluationRow): number => r.forwards + gradientCost * r.gradients;
        assert.ok(cost(other) >= cost(ours!), `${cost(other)} evaluations, ours ${cost(ours!)}`);
        assert.ok(ours!.accuracy > other.accuracy, `accuracy ${ours!.accuracy}, naive ${other.accuracy}`);
        assert.ok(ours!.fd < other.fd, `FD ${ours!.fd}, naive ${other.fd}`);
      });

    it("and says more than the translator alone, so the measure can tell", () => {
      assert.ok(row("translator").fdOverFloor > 1.5, `FD ${row("translator").fd}, floor ${table.floor}`);
    });

    it("fidelity 10 reaches accuracy 0.99", () => {
      const { accuracy } = row("fidelity 10");
      assert.ok(accuracy >= 0.99, `accuracy ${accuracy}`);
    });
  });
