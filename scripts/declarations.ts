/**
 * Declarations for users: where a type comes from a shape of lib/options, an interface with the option's sentences takes its
 * place, so that editors show them and nobody reads conditional types. scripts/build.mjs calls this after tsc.
 */
import { posix } from "node:path";
import type { ObjectShape, Shape } from "../lib/options/describe.js";
import type { Kind } from "../lib/options/kinds.js";
import { sentences } from "../lib/options/sentences.js";

/** A module of lib/, by its path without ".ts": what tsc declared, its source, and what it exports when it runs. */
export interface Module {
  readonly declaration: string;
  readonly source: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** Types and values that come from a shape or from a registry of kinds. */
const marks = {
  /** export type MalaOptions = TypeOf<typeof malaOptions>; */
  type: /export type (\w+) = TypeOf<typeof (\w+)>;/g,
  /** export type TranslatorShape = Checked<typeof translatorShape>; */
  checked: /export type (\w+) = Checked<typeof (\w+)>;/g,
  /** export type Sampler = Chosen<typeof samplers>; */
  chosen: /export type (\w+) = Chosen<typeof (\w+)>;/g,
  /** export declare const sampler: Makers<typeof samplers, Sampler>; */
  makers: /export declare const (\w+): Makers<typeof (\w+), (\w+)>;/g,
};

function hasMarks(declaration: string): boolean {
  return Object.values(marks).some((mark) => declaration.search(mark) >= 0);
}

/** Names that are there without an import. */
const globals = new Set([
  "AbortSignal",
  "Promise",
  "Record",
  "Readonly",
  "Float32Array",
  "Uint8Array",
  "URL",
]);

/** The declarations of modules that have any such types, printed. */
export function printedDeclarations(modules: ReadonlyMap<string, Module>): Map<string, string> {
  const printed = new Map<string, string>();
  const names = shapeNames(modules);
  for (const [path, module] of modules)
    if (hasMarks(module.declaration)) printed.set(path, new Printer(path, modules, names).print());
  return printed;
}

interface Name {
  readonly name: string;
  readonly path: string;
}

function shapeNames(modules: ReadonlyMap<string, Module>): Map<unknown, Name> {
  const names = new Map<unknown, Name>();
  for (const [path, { source, exports }] of modules)
    for (const [, name, shape] of source.matchAll(marks.type))
      names.set(exports[shape!], { name: name!, path });
  return names;
}

class Printer {
  private readonly used = new Map<string, Name | null>();

  constructor(
    private readonly path: string,
    private readonly modules: ReadonlyMap<string, Module>,
    private readonly names: ReadonlyMap<unknown, Name>,
  ) {}

  private get module(): Module {
    return this.modules.get(this.path)!;
  }

  /** A value that the module has or imports. */
  private value(name: string): unknown {
    const { exports, source } = this.module;
    if (name in exports) return exports[name];
    const from = importedFrom(name, source);
    const path = from && posix.join(posix.dirname(this.path), from).replace(/\.js$/, "");
    const found = path && this.modules.get(path)?.exports[name];
    if (!found) throw new Error(`${this.path}: there is no ${name}`);
    return found;
  }

  print(): string {
    const body = this.module.declaration
      .replace(marks.type, (_, name: string, from: string) => this.declared(name, this.value(from) as Shape))
      .replace(
        marks.checked,
        (_, name: string, from: string) =>
          `export interface ${name} ${this.members(this.value(from) as ObjectShape, "checked", "", true)}`,
      )
      .replace(marks.chosen, (_, name: string, from: string) => {
        const kinds = Object.values(this.value(from) as Record<string, Kind>);
        const one = ({ kind, options }: Kind): string =>
          `{ readonly kind: ${JSON.stringify(kind)}; readonly options: ${this.members(options, "checked", "  ")} }`;
        return `export type ${name} =\n  | ${kinds.map(one).join("\n  | ")};`;
      })
      .replace(marks.makers, (_, name: string, from: string, made: string) => {
        const kinds = Object.values(this.value(from) as Record<string, Kind>);
        const one = ({ kind, is, options }: Kind): string =>
          `${comment(is, "  ")}  ${kind}(options?: ${this.type(options, "  ")}): ${made};\n`;
        return `export declare const ${name}: {\n${kinds.map(one).join("")}};`;
      });
    return `${this.imports(body)}${withoutUnused(body)}`;
  }

  private declared(name: string, shape: Shape): string {
    const { form } = shape;
    return form.is === "object"
      ? `export interface ${name} ${this.members(shape as ObjectShape, "given", "")}`
      : `export type ${name} = ${this.spelled(shape, "")};`;
  }

  /** `given`: as callers write it. `checked`: with its defaults, not to be changed. */
  private members(
    shape: ObjectShape,
    as: "given" | "checked",
    indent: string,
    said = as === "given",
  ): string {
    const lines = Object.entries(shape.form.properties).map(([key, option]) => {
      const optional = as === "given" ? option.mode !== "required" : option.mode === "open";
      const type = this.type(option.shape, `${indent}  `);
      const line = `${indent}  ${as === "checked" ? "readonly " : ""}${key}${optional ? "?" : ""}: ${type};\n`;
      return said ? `${comment(sentences(option), `${indent}  `)}${line}` : line;
    });
    return `{\n${lines.join("")}${indent}}`;
  }

  /** By its name, where it has one. */
  private type(shape: Shape, indent: string): string {
    const named = this.names.get(shape);
    if (!named) return this.spelled(shape, indent);
    this.used.set(named.name, named);
    return named.name;
  }

  private spelled(shape: Shape, indent: string): string {
    const { form } = shape;
    switch (form.is) {
      case "number":
      case "boolean":
      case "null":
        return form.is;
      case "text":
        return this.written(form.type ?? "string");
      case "path":
        return "string";
      case "words":
        return form.words.map((word) => JSON.stringify(word)).join(" | ");
      case "constant":
        return JSON.stringify(form.value);
      case "list": {
        const item = this.type(form.items, indent);
        if (form.least === form.most) return `readonly [${Array<string>(form.most).fill(item).join(", ")}]`;
        return `readonly ${/^[\w.]+$/.test(item) ? item : `(${item})`}[]`;
      }
      case "record":
        return `Record<string, ${this.type(form.values, indent)}>`;
      case "object":
        return this.members(shape as ObjectShape, "given", indent);
      case "either":
        return form.of.map((one) => this.type(one, indent)).join(" | ");
      case "named":
        return this.type(form.shape(), indent);
      case "byHand":
        return this.written(form.type);
    }
  }

  /** TypeScript that a shape has as text. */
  private written(type: string): string {
    for (const [name] of type.replaceAll(/"[^"]*"/g, "").matchAll(/\b[A-Z]\w*/g))
      if (!globals.has(name)) this.used.set(name, null);
    return type;
  }

  /** Where a type is: by the import of the module itself, else of one that describes an option with it. */
  private home(name: string): string | undefined {
    const describes = new RegExp(`\\b(byHand|listener|text)<[^(]*\\b${name}\\b`);
    const others = [...this.modules].filter(([, { source }]) => describes.test(source));
    for (const [path, { source }] of [[this.path, this.module] as const, ...others]) {
      const from = importedFrom(name, source);
      if (from !== undefined) return posix.join(posix.dirname(path), from).replace(/\.js$/, "");
      if (new RegExp(`export (?:interface|type|class) ${name}\\b`).test(source)) return path;
    }
    return undefined;
  }

  /** Of the names that were printed and are not there. */
  private imports(body: string): string {
    const lines = [...this.used].flatMap(([name, known]) => {
      if (known?.path === this.path || isThere(name, body)) return [];
      const home = known?.path ?? this.home(name);
      if (home === undefined) throw new Error(`${this.path}: nobody says where ${name} is`);
      const from = relative(this.path, home);
      return [`import type { ${name} } from ${JSON.stringify(from)};\n`];
    });
    return lines.join("");
  }
}

function isThere(name: string, declaration: string): boolean {
  return (
    new RegExp(`\\b(interface|type|class) ${name}\\b`).test(declaration) ||
    importedFrom(name, declaration) !== undefined
  );
}

function importedFrom(name: string, source: string): string | undefined {
  for (const [, names, from] of source.matchAll(/import (?:type )?\{([^}]*)\} from "([^"]+)"/g))
    if (names!.split(",").some((one) => one.trim().replace(/^type /, "") === name)) return from;
  return undefined;
}

/** Without imports of what was only named by what has been replaced. */
function withoutUnused(declaration: string): string {
  const imports = /import (?:type )?\{([^}]*)\} from "[^"]+";\n/g;
  const rest = declaration.replaceAll(imports, "").replaceAll(/"[^"]*"/g, "");
  return declaration.replace(imports, (line, names: string) => {
    const kept = names
      .split(",")
      .map((one) => one.trim())
      .filter((one) =>
        new RegExp(
          `\\b${one
            .replace(/^type /, "")
            .split(" as ")
            .at(-1)!}\\b`,
        ).test(rest),
      );
    return kept.length === 0 ? "" : line.replace(names, ` ${kept.join(", ")} `);
  });
}

function relative(from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to);
  return `${path.startsWith(".") ? path : `./${path}`}.js`;
}

/** A comment of lines that are not long. */
function comment(words: string, indent: string): string {
  const lines: string[] = [""];
  for (const word of words.split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + word.length > 110 - indent.length) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}
