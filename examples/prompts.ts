/** The text demo's prompts, and what a prompt asks for, so that a classifier of attributes can judge. */

const digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const colours = ["red", "green", "blue", "yellow", "magenta", "cyan", "white", "black"];

/** The classes of the attribute classifier's outputs, in their order. */
export const attributes = {
  digit: digits,
  stroke: colours,
  background: colours,
  thickness: ["thin", "normal", "thick"],
} as const;
export type Attribute = keyof typeof attributes;
export const attributeNames = Object.keys(attributes) as Attribute[];

/** Class by attribute, of those that a prompt names. */
export type Wanted = Partial<Record<Attribute, number>>;

const widths: Record<string, number> = {
  ...{ thin: 0, fine: 0, slim: 0, medium: 1, normal: 1, regular: 1 },
  ...{ thick: 2, bold: 2, fat: 2 },
};

/**
 * What a prompt asks for. A colour belongs to the background where "background" or "backdrop" follows it, or "on", with or
 * without an article, stands before it; any other is the stroke's.
 */
export function wantedBy(prompt: string): Wanted {
  const words = prompt.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const wanted: Wanted = {};
  words.forEach((word, i) => {
    const digit = /^\d$/.test(word) ? Number(word) : digits.indexOf(word);
    const colour = colours.indexOf(word);
    const before = words[i - 1] === "a" || words[i - 1] === "the" ? words[i - 2] : words[i - 1];
    if (digit >= 0) wanted.digit = digit;
    else if (colour >= 0)
      wanted[/^back(ground|drop)$/.test(words[i + 1] ?? "") || before === "on" ? "background" : "stroke"] =
        colour;
    else if (widths[word] !== undefined) wanted.thickness = widths[word];
  });
  return wanted;
}

/** Pairs of values that the text model's training never saw together, as the models' manifest records them. */
export interface HeldOut {
  readonly digit_stroke: readonly (readonly string[])[];
  readonly stroke_background: readonly (readonly string[])[];
}

/** Whether a prompt asks for one of the pairs. */
export function isHeldOut(wanted: Wanted, heldOut: HeldOut): boolean {
  const word = (kind: Attribute): string | undefined =>
    wanted[kind] === undefined ? undefined : attributes[kind][wanted[kind]];
  const among = (pairs: HeldOut[keyof HeldOut], a: Attribute, b: Attribute): boolean =>
    pairs.some(([p, q]) => p === word(a) && q === word(b));
  return (
    among(heldOut.digit_stroke, "digit", "stroke") || among(heldOut.stroke_background, "stroke", "background")
  );
}

/** Of colours that both generators draw; the second half are held out of the text model's training. */
export const defaultPrompts = [
  "a thick red seven on a yellow background",
  "a thin yellow three on a black background",
  "a white 5 on a blue background",
  "a bold black zero on white",
  "magenta background, a green 8",
  "the number two in thin blue strokes on a white backdrop",
  "a cyan four on a magenta background",
  "a medium magenta six with a black background",
  "a thick red seven on a blue background",
  "a white eight on a red background",
  "a thin black seven on a yellow background",
  "a yellow 4 on a green background",
  "a thick blue nine on a yellow background",
  "a cyan two on a black background",
  "a green three on a white background",
  "a red zero on a cyan background",
];
