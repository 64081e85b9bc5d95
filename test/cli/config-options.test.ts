/**
 * Whatever the library can be told, a configuration file can say and docs/options.md names. Options are read off the
 * declarations, so that a new one fails here until it has its place, or a reason to have none.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { textEncoderOptions } from "../../lib/condition/text-encoder.js";
import { configSchema as makeSchema } from "../../lib/config/document.js";
import type { JsonSchema as Schema } from "../../lib/options/json-schema.js";
import { energy, latent, sampler } from "../../lib/index.js";
import { packageRoot } from "../../lib/native/binding.js";

const configSchema = makeSchema();

/** Why the file has no such key, or where it has it. */
const reasons = {
  seed: "the document's `seed`",
  models: "sections of the document: models come from files",
} as const;

type Exceptions = Readonly<Record<string, string>>;

/** Names of an interface's own members, or, `property` given, of that property's; a union type's by `kind`. */
function declared(file: string, type: string, property?: string): string[] {
  const path = join(packageRoot, "lib", file);
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest);
  for (const statement of source.statements) {
    if (!ts.isInterfaceDeclaration(statement) || statement.name.text !== type) continue;
    let members: readonly ts.TypeElement[] = statement.members;
    if (property !== undefined) {
      const found = members.find((member) => (member.name as ts.Identifier).text === property);
      assert.ok(found && ts.isPropertySignature(found) && found.type && ts.isTypeLiteralNode(found.type));
      members = found.type.members;
    }
    return members.map((member) => (member.name as ts.Identifier).text);
  }
  throw new Error(`lib/${file} has no interface ${type}`);
}

/** Keys of the alternatives of a union of literals `{ kind: "…", … }`, joined by kind. */
function declaredKinds(file: string, type: string): Map<string, Set<string>> {
  const path = join(packageRoot, "lib", file);
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest);
  const kinds = new Map<string, Set<string>>();
  for (const statement of source.statements) {
    if (!ts.isTypeAliasDeclaration(statement) || statement.name.text !== type) continue;
    assert.ok(ts.isUnionTypeNode(statement.type));
    for (const part of statement.type.types) {
      assert.ok(ts.isTypeLiteralNode(part));
      let kind = "";
      const keys: string[] = [];
      for (const member of part.members as ts.NodeArray<ts.PropertySignature>) {
        const name = (member.name as ts.Identifier).text;
        if (name === "kind") kind = ((member.type as ts.LiteralTypeNode).literal as ts.StringLiteral).text;
        else keys.push(name);
      }
      kinds.set(kind, new Set([...(kinds.get(kind) ?? []), ...keys]));
    }
  }
  assert.ok(kinds.size > 0, `lib/${file} has no type ${type}`);
  return kinds;
}

const keys = (schema: Schema): string[] => Object.keys(schema.properties!).filter((key) => key !== "kind");
const section = (name: string): Schema => configSchema.properties![name]!;
/** The alternatives that `kind` tells apart. */
const kinds = (schema: Schema): Map<string, string[]> =>
  new Map(alternatives(schema).map((part) => [String(part.properties!["kind"]!.const), keys(part)]));
/** Of alternatives of alternatives. */
const alternatives = (schema: Schema): readonly Schema[] => schema.anyOf?.flatMap(alternatives) ?? [schema];

/** The library's options are the file's, but for the exceptions, each of which is one of the library's. */
function same(
  library: readonly string[],
  file: readonly string[],
  exceptions: Exceptions,
  what: string,
): void {
  for (const name of Object.keys(exceptions))
    assert.ok(
      library.includes(name) && !file.includes(name),
      `${what}: the exception ${name} is none any more`,
    );
  assert.deepEqual([...file].sort(), library.filter((name) => !Object.hasOwn(exceptions, name)).sort(), what);
}

describe("options of the library in a configuration file", () => {
  const page = readFileSync(join(packageRoot, "docs", "options.md"), "utf8");
  /** What the page has in code, words of it. */
  const documented = new Set(
    [...page.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code!.match(/[$A-Za-z]\w*/g) ?? []),
  );
  const named = (names: readonly string[], what: string): void =>
    assert.deepEqual(
      names.filter((name) => !documented.has(name)),
      [],
      `${what}: not in docs/options.md`,
    );

  it("are all there: textEncoder", () => {
    const library = Object.keys(textEncoderOptions.form.properties);
    const file = keys(section("textEncoder"));
    // Of the model, as everywhere.
    same(
      library,
      file.filter((key) => !["format", "device", "inputShapes", "inputs", "allowCode"].includes(key)),
      { onDecision: "a function" },
      "textEncoder",
    );
    named(file, "textEncoder");
  });

  it("are all there: condition noise", () => {
    const library = declaredKinds("translator/noise.ts", "ConditionNoise");
    const file = kinds(section("translator").properties!["conditionNoise"]!);
    same([...library.keys()], [...file.keys()], {}, "kinds of noise");
    for (const [kind, names] of library) same([...names], file.get(kind)!, {}, kind);
    named([...library.keys(), ...[...library.values()].flatMap((names) => [...names])], "condition noise");
  });

  it("are all there: latents", () => {
    const file = kinds(section("latent"));
    same(Object.keys(latent), [...file.keys()], {}, "latents");
    const own = (made: object): string[] => Object.keys(made).filter((key) => key !== "kind");
    same(own(latent.normal(2)), file.get("normal")!, {}, "normal");
    same(own(latent.truncatedNormal(2, 1)), file.get("truncatedNormal")!, {}, "truncatedNormal");
    same(own(latent.uniform(2)), file.get("uniform")!, {}, "uniform");
    const members = (file: string, type: string): string[] =>
      declared(`latent/kinds/${file}.ts`, type).filter((key) => key !== "kind");
    const fromFile = { table: "`file`", dim: "the table's columns" };
    same([...members("table", "TableLatent"), "file"], file.get("table")!, fromFile, "table");
    same(members("label", "LabelLatent"), file.get("label")!, { dim: "always 1" }, "label");
    same(members("mapped", "MappedLatent"), file.get("mapped")!, { mapping: reasons.models }, "mapped");
    same(
      members("product", "ProductLatent"),
      file.get("product")!,
      { dim: "the groups' together" },
      "product",
    );
    assert.deepEqual(file.get("hierarchical"), ["sizes", "temperature"]);
    named([...file.keys(), ...[...file.values()].flat()], "latents");
  });

  it("are all there: energies", () => {
    const file = kinds(configSchema.definitions["energy"]!);
    const byName = Object.keys(energy).map((name) => (name === "fromOnnx" ? "onnx" : name));
    same(byName, [...file.keys()], {}, "energies");
    const exceptions: Record<string, Exceptions> = {
      onnx: { bytes: "`model`, a path", sha256: "of the model" },
    };
    const made = [
      energy.crossEntropy(),
      energy.cosine(),
      energy.squaredError(),
      energy.prior(),
      energy.fromOnnx(Uint8Array.of(1)),
      energy.sum(energy.cosine()),
    ];
    same(
      made.map(({ kind }) => kind),
      [...file.keys()],
      {},
      "energies",
    );
    for (const { kind, ...rest } of made) {
      const names = Object.keys(rest);
      same(kind === "onnx" ? [...names, "model"] : names, file.get(kind)!, exceptions[kind] ?? {}, kind);
    }
    same(declared("objective/energies/sum.ts", "EnergyTerm"), ["energy", "weight"], {}, "terms of a sum");
    named([...file.keys(), ...[...file.values()].flat()], "energies");
  });

  it("are named on the page: samplers and stages", () => {
    // That the schema has all of the library's is what config.test.ts looks at.
    for (const name of ["sampler", "stage"]) {
      const file = kinds(configSchema.definitions[name]!);
      named([...file.keys(), ...[...file.values()].flat()], name);
    }
    assert.deepEqual(
      [...kinds(configSchema.definitions["sampler"]!).keys()].sort(),
      Object.keys(sampler).sort(),
    );
    const [langevin] = configSchema.definitions["sampler"]!.anyOf!.filter(
      ({ properties }) => properties!["kind"]!.const === "langevin",
    );
    const rules = langevin!.properties!["groups"]!.additionalProperties as Schema;
    named(Object.keys(rules.properties!), "update rules of groups");
  });
});
