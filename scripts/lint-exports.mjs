/**
 * Every export of lib/ is imported by another file, be it a test. Declarations for users are printed for types of shapes, and
 * need shapes that are marked @internal: both stay, and so does what lib/index.ts exports.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const rooms = ["lib", "test", "bench", "scripts", "examples"];
const sources = new Map(
  rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true })
      .filter((name) => name.endsWith(".ts") || name.endsWith(".mjs"))
      .map((name) => join(room, name))
      .map((path) => [
        path,
        ts.createSourceFile(path, readFileSync(join(root, path), "utf8"), ts.ScriptTarget.Latest, true),
      ]),
  ),
);

/** "file#name", or "file#*" where all of a file is taken. */
const used = new Set();
for (const [path, source] of sources) {
  const take = (module, name) => {
    if (!module?.startsWith(".")) return;
    used.add(`${relative(root, resolve(root, dirname(path), module)).replace(/\.js$/, ".ts")}#${name}`);
  };
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || (ts.isExportDeclaration(node) && node.moduleSpecifier)) {
      const clause = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : node.exportClause;
      const names = clause?.elements?.map((element) => (element.propertyName ?? element.name).text) ?? ["*"];
      for (const name of names) take(node.moduleSpecifier.text, name);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      take(node.arguments[0]?.text, "*");
    else if (ts.isImportTypeNode(node)) take(node.argument.literal?.text, node.qualifier?.getText() ?? "*");
    ts.forEachChild(node, visit);
  };
  visit(source);
}

const unused = [];
for (const [path, source] of sources) {
  if (!path.startsWith("lib/") || path === "lib/index.ts" || used.has(`${path}#*`)) continue;
  for (const statement of source.statements) {
    if (!(ts.getCombinedModifierFlags(statement) & ts.ModifierFlags.Export)) continue;
    if (/^export type \w+ = (TypeOf|Checked|Chosen)</.test(statement.getText())) continue;
    if (ts.getJSDocTags(statement).some((tag) => tag.tagName.text === "internal")) continue;
    const names = statement.declarationList?.declarations.map((made) => made.name.getText()) ?? [
      statement.name?.text,
    ];
    for (const name of names) if (!used.has(`${path}#${name}`)) unused.push(`${path}: ${name}`);
  }
}
for (const line of unused) console.error(`${line} is exported, but no other file imports it`);
process.exitCode = unused.length > 0 ? 1 : 0;
