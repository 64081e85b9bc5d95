/** Text tables for people: columns as wide as their widest cell, numbers to the right. */

/** Rows of cells under a header; a column whose every cell starts like a number is right-aligned. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, j) =>
    Math.max(title.length, ...rows.map((row) => (row[j] ?? "").length)),
  );
  const numeric = header.map((_, j) => rows.every((row) => /^([-+]?[\d.]|–|NaN|$)/.test(row[j] ?? "")));
  const line = (cells: readonly string[]): string =>
    header
      .map((_, j) => {
        const cell = cells[j] ?? "";
        return numeric[j] ? cell.padStart(widths[j]!) : cell.padEnd(widths[j]!);
      })
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "─".repeat(width))), ...rows.map(line)].join("\n");
}

/** A number with so many digits after the point; "–" for what was not measured. */
export function fixed(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(digits);
}
