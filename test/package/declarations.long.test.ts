/**
 * The interfaces that scripts/declarations.ts prints in the place of types that come from options: each is the type that the
 * source has, has the options' sentences, and names nothing that is not there. `npm install` has built dist/.
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { packageRoot } from "../../lib/native/binding.js";

const types = join(packageRoot, "dist", "types");
const lib = join(packageRoot, "lib");

/** Names of the types of a module whose declarations were printed. */
const printed = (readdirSync(lib, { recursive: true }) as string[])
  .filter((file) => file.endsWith(".ts") && !/^(cli|config|options)\//.test(file))
  .map((file) => ({
    path: file.slice(0, -".ts".length),
    names: [
      ...readFileSync(join(lib, file), "utf8").matchAll(
        /export type (\w+) = (?:TypeOf|Checked|Chosen)<typeof \w+>;/g,
      ),
    ].map(([, name]) => name!),
  }))
  .filter(({ names }) => names.length > 0);

/** A recipe may have a Tr0n, a class, which is another type in each of two programs. */
const apart = (name: string, type: string): string =>
  name === "EvaluateOptions" ? `Omit<${type}, "recipes">` : type;

describe("declarations of options", function () {
  this.timeout(300_000);

  it("are the types that the source has, in a strict program that looks at libraries, too", () => {
    const lines = printed.flatMap(({ path, names }, i) =>
      names.flatMap((name, k) => [
        `import type { ${name} as P${i}_${k} } from "../dist/types/${path}.js";`,
        `import type { ${name} as S${i}_${k} } from "./${path}.js";`,
        `type Printed${i}_${k} = ${apart(name, `P${i}_${k}`)};`,
        `type Source${i}_${k} = ${apart(name, `S${i}_${k}`)};`,
        `export const there${i}_${k} = (value: Source${i}_${k}): Printed${i}_${k} => value;`,
        `export const back${i}_${k} = (value: Printed${i}_${k}): Source${i}_${k} => value;`,
      ]),
    );
    assert.ok(lines.length >= 4 * 15, String(lines.length));
    const { config } = ts.readConfigFile(join(packageRoot, "tsconfig.json"), (file) => ts.sys.readFile(file));
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, packageRoot);
    const host = ts.createCompilerHost(options);
    const virtual = join(lib, "printed-declarations.ts");
    const { getSourceFile, fileExists, readFile } = host;
    const text = lines.join("\n");
    host.getSourceFile = (file, ...rest) =>
      file === virtual
        ? ts.createSourceFile(file, text, ts.ScriptTarget.Latest)
        : getSourceFile.call(host, file, ...rest);
    host.fileExists = (file) => file === virtual || fileExists.call(host, file);
    host.readFile = (file) => (file === virtual ? text : readFile.call(host, file));
    const program = ts.createProgram(
      [virtual, join(types, "index.d.ts")],
      { ...options, skipLibCheck: false },
      host,
    );
    const looked = program
      .getSourceFiles()
      .filter(({ fileName }) => fileName === virtual || fileName.startsWith(types));
    assert.ok(looked.length > 50);
    const problems = looked.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]);
    const told = problems.map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
    );
    assert.deepEqual(told, []);
  });

  it("have an option's sentences, and no types of shapes", () => {
    const mala = readFileSync(join(types, "sampling", "samplers", "mala.d.ts"), "utf8");
    assert.match(
      mala,
      /\/\*\* Accept probability that each chain's step size adapts to\. Default 0\.57\. \*\/\n {2}targetAccept\?: number;/,
    );
    for (const { path, names } of printed) {
      const text = readFileSync(join(types, `${path}.d.ts`), "utf8");
      assert.doesNotMatch(text, /\b(TypeOf|Checked|Chosen|Makers)<typeof/, path);
      for (const name of names) assert.match(text, new RegExp(`export (interface|type) ${name}\\b`), path);
    }
    assert.match(
      readFileSync(join(types, "sampling", "sampler.d.ts"), "utf8"),
      /resample\(options\?: ResampleOptions\): Sampler;/,
    );
  });
});
