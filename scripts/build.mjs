/**
 * dist/: one CommonJS build with all the code, an ES module that re-exports it (so that a process which uses both
 * has one copy of every class), and the type declarations.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const require = createRequire(import.meta.url);
const { build } = require("esbuild");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

rmSync(dist, { recursive: true, force: true });

/** ES modules that require() cannot load everywhere are bundled; by the file that they come to lie in. */
const vendors = { "protobuf.cjs": ["onnx-buf", "@bufbuild/protobuf"] };
const vendorOf = new Map(
  Object.entries(vendors).flatMap(([file, names]) => names.map((name) => [name, file])),
);
const common = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  absWorkingDir: root,
  external: [...Object.keys(manifest.dependencies).filter((name) => !vendorOf.has(name)), "./vendor/*"],
  define: { "import.meta.url": "undefined" },
  // Class names reach users: error.name, and constructors in messages.
  keepNames: true,
  // Lines as they are written: of an error that nobody catches, Node prints the whole line that it was thrown from.
  lineLimit: 160,
  logLevel: "warning",
  legalComments: "none",
};

async function bundle(options) {
  const { warnings } = await build({ ...common, ...options });
  if (warnings.length > 0) throw new Error(`${options.outfile}: ${warnings.length} warnings, see above`);
}

for (const [file, names] of Object.entries(vendors)) {
  const imports = names.map((name, i) => `import * as m${i} from ${JSON.stringify(name)};`);
  const list = names.map((name, i) => `m${i} as ${JSON.stringify(name)}`);
  const contents = `${imports.join("\n")}\nexport { ${list.join(", ")} };`;
  await bundle({ stdin: { contents, resolveDir: root }, outfile: `dist/vendor/${file}` });
}

/** An enumeration: names and numbers. */
const isPlain = (value) =>
  value !== null &&
  typeof value === "object" &&
  Object.values(value).every((item) => ["number", "string"].includes(typeof item));

/**
 * Bundled modules are read when something of them is first used: with protobuf's descriptors that would take as long as the
 * rest of an import. What lib/ gets instead is an object with the enumerations, whose other properties open the module.
 */
function standIn(name) {
  const file = vendorOf.get(name);
  const real = require(join(dist, "vendor", file))[name];
  const properties = Object.entries(real).map(([key, value]) =>
    isPlain(value)
      ? `exports[${JSON.stringify(key)}] = ${JSON.stringify(value)};`
      : `lazy(${JSON.stringify(key)});`,
  );
  return `let real;
const open = () => (real ??= require(${JSON.stringify(`./vendor/${file}`)})[${JSON.stringify(name)}]);
const lazy = (key) => Object.defineProperty(exports, key, { enumerable: true, get: () => open()[key] });
${properties.join("\n")}`;
}
const lazily = {
  name: "lazily",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, importer }) =>
      vendorOf.has(path) && importer.startsWith(join(root, "lib"))
        ? { path, namespace: "lazily" }
        : undefined,
    );
    onLoad({ filter: /./, namespace: "lazily" }, ({ path }) => ({
      contents: standIn(path),
      resolveDir: dist,
    }));
  },
};
for (const [entry, outfile] of [
  ["lib/index.ts", "dist/index.cjs"],
  ["lib/cli/main.ts", "dist/cli.cjs"],
  // Under a name that no other program's file has beside a bundle which tr0n became part of.
  ["lib/model/worker.ts", "dist/tr0n-worker.cjs"],
])
  await bundle({ entryPoints: [entry], outfile, plugins: [lazily] });
chmodSync(join(dist, "cli.cjs"), 0o755);

const names = Object.keys(require(join(dist, "index.cjs"))).filter(
  (name) => name !== "default" && name !== "__esModule",
);
writeFileSync(
  join(dist, "index.js"),
  `import { createRequire } from "node:module";\nconst tr0n = createRequire(import.meta.url)("./index.cjs");\nexport const {\n${names.map((name) => `  ${name},\n`).join("")}} = tr0n;\n`,
);

const tsc = spawnSync(
  process.execPath,
  [join(dirname(require.resolve("typescript/package.json")), "bin", "tsc"), "-p", "tsconfig.types.json"],
  { cwd: root, stdio: "inherit" },
);
if (tsc.status !== 0) process.exit(1);
await printDeclarations();
/** Interfaces in the place of types that come from shapes: see scripts/declarations.ts. */
async function printDeclarations() {
  const types = join(dist, "types");
  const paths = readdirSync(types, { recursive: true })
    .filter((file) => file.endsWith(".d.ts"))
    .map((file) => file.slice(0, -".d.ts".length));
  const outfile = join(dist, "declarations.cjs");
  const lines = paths.map((path, i) => `export * as m${i} from "./lib/${path}.ts";`);
  const contents = `export * from "./scripts/declarations.ts";\n${lines.join("\n")}`;
  await bundle({ stdin: { contents, resolveDir: root, loader: "ts" }, outfile, plugins: [lazily] });
  const made = require(outfile);
  const modules = paths.map((path, i) => [
    path,
    {
      declaration: readFileSync(join(types, `${path}.d.ts`), "utf8"),
      source: readFileSync(join(root, "lib", `${path}.ts`), "utf8"),
      exports: made[`m${i}`],
    },
  ]);
  for (const [path, text] of made.printedDeclarations(new Map(modules)))
    writeFileSync(join(types, `${path}.d.ts`), text);
  rmSync(outfile);
}

// The CommonJS condition needs declarations of its own module kind.
cpSync(join(dist, "types"), join(dist, "types-cjs"), { recursive: true });
writeFileSync(join(dist, "types-cjs", "package.json"), '{ "type": "commonjs" }\n');
