/** The plots of docs/reproduce.md, as SVG: text and shapes on white, so that they read on any page. */
import { cost, type Summary, type SummaryRow } from "./report.js";
import { rowNames, type RowName } from "./rows.js";

const ink = "#222";
const faint = "#ccc";
/** Distinguishable with any colour vision (Okabe and Ito 2008); ours stands out by its size, too. */
const colours: Record<RowName, string> = {
  exact: "#000000",
  prior: "#999999",
  translator: "#56b4e9",
  resampleOnly: "#0072b2",
  steps: "#8fd4bd",
  stepsEqual: "#009e73",
  naiveSteps: "#f0e442",
  naiveEqual: "#e69f00",
  naiveResample: "#b8860b",
  deterministic: "#cc79a7",
  official: "#7b3294",
  ours: "#d55e00",
};

const text = (x: number, y: number, content: string, more = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${content.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`;
const line = (x1: number, y1: number, x2: number, y2: number, colour: string, width = 1): string =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${colour}" stroke-width="${width}"/>`;
const dot = (x: number, y: number, recipe: RowName): string =>
  `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${recipe === "ours" ? 7 : 5}" fill="${colours[recipe]}" stroke="${ink}" stroke-width="0.7"/>`;

function picture(width: number, height: number, parts: readonly string[]): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `font-family="sans-serif" font-size="12" fill="${ink}">\n<rect width="100%" height="100%" fill="#fff"/>\n` +
    `${parts.join("\n")}\n</svg>\n`
  );
}

/** File names and contents. */
export function plots(summaries: readonly Summary[]): Record<string, string> {
  return { "distance.svg": distance(summaries), "accuracy.svg": accuracy(summaries) };
}

const panel = { width: 380, height: 250, left: 48, top: 34, gap: 30 };

/** A panel a setting: FD over floor (up) against evaluations in forward passes (right), both logarithmic. */
function distance(summaries: readonly Summary[]): string {
  const columns = 2;
  const rows = Math.ceil(summaries.length / columns);
  const legend = [...new Set(summaries.flatMap((s) => s.rows.map(({ recipe }) => recipe)))].filter(
    (recipe) => recipe !== "exact",
  );
  const width = columns * (panel.width + panel.gap) + 20;
  const legendTop = rows * (panel.height + 2 * panel.gap) + 20;
  const parts = summaries.flatMap((summary, i) => {
    const x = (i % columns) * (panel.width + panel.gap) + panel.left;
    const y = Math.floor(i / columns) * (panel.height + 2 * panel.gap) + panel.top;
    return distancePanel(summary, x, y, panel.width - panel.left, panel.height - panel.top);
  });
  legend.forEach((recipe, i) => {
    const [x, y] = [panel.left + (i % 2) * 400, legendTop + 20 * Math.floor(i / 2)];
    parts.push(dot(x, y - 4, recipe), text(x + 14, y, rowNames[recipe]));
  });
  return picture(width, legendTop + 20 * Math.ceil(legend.length / 2), parts);
}

function distancePanel(summary: Summary, left: number, top: number, width: number, height: number): string[] {
  const shown = summary.rows.filter(({ recipe }) => recipe !== "exact");
  const ratio = ({ values }: SummaryRow): { mean: number; std: number } => values.fdOverFloor;
  const costOf = (row: SummaryRow): number => Math.max(1, cost(row));
  const xMax = Math.max(...shown.map(costOf)) * 1.4;
  const yMax = Math.max(...shown.map((row) => ratio(row).mean + ratio(row).std)) * 1.3;
  const yMin = Math.min(0.8, ...shown.map((row) => ratio(row).mean - ratio(row).std));
  const x = (value: number): number => left + (width * Math.log(value / 0.8)) / Math.log(xMax / 0.8);
  const y = (value: number): number =>
    top + height - (height * Math.log(Math.max(value, yMin) / yMin)) / Math.log(yMax / yMin);
  const parts = [text(left, top - 12, `${summary.title}: FD / floor`, 'font-weight="bold"')];
  const ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500];
  for (const value of ticks.filter((tick) => tick <= yMax && tick >= yMin))
    parts.push(
      line(left, y(value), left + width, y(value), value === 1 ? ink : faint),
      text(left - 6, y(value) + 4, String(value), 'text-anchor="end"'),
    );
  for (const value of ticks.filter((tick) => tick <= xMax))
    parts.push(
      line(x(value), top, x(value), top + height, faint),
      text(x(value), top + height + 15, String(value), 'text-anchor="middle"'),
    );
  parts.push(
    text(
      left + width / 2,
      top + height + 31,
      "evaluations a sample, in forward passes",
      'text-anchor="middle"',
    ),
  );
  for (const row of shown) {
    const { mean, std } = ratio(row);
    parts.push(line(x(costOf(row)), y(mean - std), x(costOf(row)), y(mean + std), ink, 1.4));
  }
  for (const row of shown) parts.push(dot(x(costOf(row)), y(ratio(row).mean), row.recipe));
  return parts;
}

/** A line a way to sample, a column a setting: accuracy from 0 to 1, with the reference's as a line. */
function accuracy(summaries: readonly Summary[]): string {
  const recipes = (Object.keys(rowNames) as RowName[]).filter((recipe) =>
    summaries.some((s) => s.rows.some((row) => row.recipe === recipe)),
  );
  const [nameWidth, column, gap, step, top] = [380, 110, 30, 22, 46];
  const bottom = top + step * recipes.length;
  const parts = recipes.map((recipe, i) =>
    text(nameWidth - 12, top + step * (i + 0.5) + 4, rowNames[recipe], 'text-anchor="end"'),
  );
  summaries.forEach((summary, c) => {
    const left = nameWidth + c * (column + gap);
    const x = (value: number): number => left + column * value;
    const [first, ...rest] = summary.title.split(", ");
    parts.push(
      text(left + column / 2, 16, first!, 'text-anchor="middle" font-weight="bold"'),
      text(left + column / 2, 32, rest.join(", "), 'text-anchor="middle" font-weight="bold"'),
    );
    for (const value of [0, 0.5, 1])
      parts.push(
        line(x(value), top, x(value), bottom, faint),
        text(x(value), bottom + 15, String(value), 'text-anchor="middle"'),
      );
    const exact = summary.rows.find(({ recipe }) => recipe === "exact")!.values.accuracy.mean;
    parts.push(line(x(exact), top, x(exact), bottom, ink));
    for (const { recipe, values } of summary.rows) {
      const y = top + step * (recipes.indexOf(recipe) + 0.5);
      const { mean, std } = values.accuracy;
      parts.push(
        line(x(Math.max(0, mean - std)), y, x(Math.min(1, mean + std)), y, ink, 1.4),
        dot(x(mean), y, recipe),
      );
    }
  });
  return picture(nameWidth + summaries.length * (column + gap), bottom + 26, parts);
}
