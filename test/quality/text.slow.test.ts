/** Sampling by text: the translator's start against the prior's at equal evaluations, by accuracy and Fréchet distance. */
import assert from "node:assert/strict";
import { TextTable, textReference } from "../../examples/reproduce/by-text.js";
import { Judge } from "../../examples/reproduce/judge.js";
import { ablation, oursRecipe, type Row } from "../../examples/reproduce/rows.js";
import {
  attributeClassifier,
  openText,
  textFidelity,
  textPrompts,
} from "../../examples/reproduce/settings.js";

for (const generator of ["gan", "vae"] as const)
  describe(`sampling by text, ${generator.toUpperCase()}`, function () {
    this.timeout(600_000);
    let ours: Row;
    const naive = new Map<string, Row>();

    before(async () => {
      const prompts = textPrompts(4);
      using tr0n = await openText(generator, 1);
      await tr0n.train({ pairs: 20_000 });
      const reference = await textReference(tr0n, prompts, textFidelity, 1, {
        pool: 12_000,
        samples: 40,
        reference: 120,
      });
      using judge = await Judge.open(await attributeClassifier());
      const table = new TextTable(tr0n, judge, prompts, 40, 2);
      await table.prepare(reference);
      ours = await table.row(oursRecipe(tr0n, textFidelity));
      const all = ablation(
        { ours: tr0n, deterministic: tr0n, official: tr0n },
        { fidelity: textFidelity, steps: 16, forwards: ours.forwards!, gradients: ours.gradients! },
      );
      for (const recipe of all.filter(({ name }) => name === "naiveEqual" || name === "naiveResample"))
        naive.set(recipe.name, await table.row(recipe));
    });

    for (const name of ["naiveEqual", "naiveResample"])
      it(`beats the prior's start at equal evaluations (${name})`, () => {
        const other = naive.get(name)!;
        const cost = (row: Row): number => row.forwards! + 3 * row.gradients!;
        assert.ok(cost(other) >= cost(ours), `${cost(other)} evaluations, ours ${cost(ours)}`);
        assert.ok(ours.accuracy > other.accuracy, `accuracy ${ours.accuracy}, naive ${other.accuracy}`);
        assert.ok(ours.fd < other.fd, `FD ${ours.fd}, naive ${other.fd}`);
      });

    it("gets digit and colours right nine times in ten", () => {
      assert.ok(ours.accuracy >= 0.9, `accuracy ${ours.accuracy}`);
    });
  });
