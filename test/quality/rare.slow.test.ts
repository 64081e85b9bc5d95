/** A condition that the prior hardly ever draws: the default sampler against exact samples. */
import assert from "node:assert/strict";
import { rare, openRare } from "../../examples/reproduce/settings.js";
import { rareClass } from "../../examples/reproduce/rare.js";
import { evaluate } from "../../lib/evaluate/evaluate.js";
import type { Evaluation } from "../../lib/evaluate/report.js";
import { sampler } from "../../lib/index.js";

// The VAE's, which takes twice as long, is in docs/reproduce.md (npm run reproduce -- --only rare).
for (const generator of ["gan"] as const)
  describe(`a digit in unusually thin strokes, ${generator.toUpperCase()}`, function () {
    this.timeout(600_000);
    let table: Evaluation;

    before(async () => {
      using tr0n = await openRare(generator, 1);
      await tr0n.train({ pairs: 60_000 });
      table = await evaluate(tr0n, {
        seed: 2,
        classes: rare.digits.slice(0, 1).map(rareClass),
        samples: 100,
        reference: 200,
        maxDraws: 2_000_000,
        recipes: [{ name: "default" }, { name: "translator", sampler: sampler.direct() }],
      });
    });

    it("is under 1 in 200 of the prior", () => {
      const draws = table.rows[0]!.forwards;
      assert.ok(draws > 200, `1 in ${draws}`);
    });

    it("comes out within twice the floor of exact samples", () => {
      const { fdOverFloor, fd } = table.rows[1]!;
      assert.ok(fdOverFloor <= 2, `FD ${fd}, floor ${table.floor}`);
    });

    it("as the translator alone does not, so the measure can tell", () => {
      const { fdOverFloor, fd } = table.rows[2]!;
      assert.ok(fdOverFloor > 2, `FD ${fd}, floor ${table.floor}`);
    });
  });
