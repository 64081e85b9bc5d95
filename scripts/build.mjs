/**
 * dist/: one CommonJS build with all the code, an ES module that re-exports it (so that a process which uses both
 * has one copy of every class), and the type declarations.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const require = createRequire(import.meta.url);
const { build } = require("esbuild");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

rmSync(dist, { recursive: true, force: true });

const common = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  absWorkingDir: root,
  // onnx-buf and ml-matrix are bundled: the first is an ES module that require() cannot load everywhere.
  external: Object.keys(manifest.dependencies).filter(
    (name) => !["onnx-buf", "@bufbuild/protobuf", "ml-matrix"].includes(name),
  ),
  define: { "import.meta.url": "undefined" },
  // Class names reach users: error.name, and constructors in messages.
  keepNames: true,
  logLevel: "warning",
  legalComments: "none",
};
for (const [entry, outfile] of [
  ["lib/index.ts", "dist/index.cjs"],
  ["lib/cli/main.ts", "dist/cli.cjs"],
]) {
  const { warnings } = await build({ ...common, entryPoints: [entry], outfile });
  if (warnings.length > 0) throw new Error(`${entry}: ${warnings.length} warnings, see above`);
}
chmodSync(join(dist, "cli.cjs"), 0o755);

const names = Object.keys(require(join(dist, "index.cjs"))).filter(
  (name) => name !== "default" && name !== "__esModule",
);
writeFileSync(
  join(dist, "index.js"),
  `import tr0n from "./index.cjs";\nexport const {\n${names.map((name) => `  ${name},\n`).join("")}} = tr0n;\n`,
);

const tsc = spawnSync(
  process.execPath,
  [join(dirname(require.resolve("typescript/package.json")), "bin", "tsc"), "-p", "tsconfig.types.json"],
  { cwd: root, stdio: "inherit" },
);
if (tsc.status !== 0) process.exit(1);
// The CommonJS condition needs declarations of its own module kind.
cpSync(join(dist, "types"), join(dist, "types-cjs"), { recursive: true });
writeFileSync(join(dist, "types-cjs", "package.json"), '{ "type": "commonjs" }\n');
