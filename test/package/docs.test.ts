/**
 * Pages that people read: README.md and its like, and docs/. Links lead somewhere, what is called by a name exists, and code
 * compiles against the library as it is.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import ts from "typescript";
import { packageRoot } from "../../lib/native/binding.js";
import { tr0n } from "../support/cli.js";

const read = (path: string): string => readFileSync(join(packageRoot, path), "utf8");
/** Files of a folder by their paths from the top. */
const find = (folder: string, ending: RegExp, recursive = false): string[] =>
  readdirSync(join(packageRoot, folder), { recursive, encoding: "utf8" })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));
const pages = [...find(".", /\.md$/), ...find("docs", /\.md$/), "models/README.md", "bench/README.md"].sort();

/** Blocks of code in one of these languages. */
const blocks = (page: string, ...languages: string[]): string[] =>
  [...read(page).matchAll(/^```(\w+)\n(.*?)^```/gms)]
    .filter(([, language]) => languages.includes(language!))
    .map(([, , code]) => code!);

/** A page without its blocks of code, and without pieces of code in lines. */
const prose = (page: string): string =>
  read(page)
    .replaceAll(/^```.*?^```/gms, "")
    .replaceAll(/`[^`]*`/g, "");

/** The places in a page that a link may name, as GitHub makes them of headings; and <a id>. */
function anchors(page: string): Set<string> {
  const text = read(page).replaceAll(/^```.*?^```/gms, "");
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
  return new Set([...headings, ...[...text.matchAll(/<a id="([^"]+)"/g)].map(([, id]) => id!)]);
}

/** Lines of a shell block as commands: continuation lines joined, without comments. */
const commands = (block: string): string[] =>
  block
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*/, "").trim())
    .filter((line) => line !== "");

describe("the pages", () => {
  it("link to files and headings that exist", () => {
    const broken: string[] = [];
    let links = 0;
    for (const page of pages)
      for (const [, target] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        links++;
        const [path, anchor] = target!.split("#") as [string, string | undefined];
        const file = path === "" ? page : relative(packageRoot, resolve(packageRoot, dirname(page), path));
        if (!existsSync(join(packageRoot, file)) || (anchor !== undefined && !anchors(file).has(anchor)))
          broken.push(`${page}: ${target}`);
      }
    assert.ok(links > 50, `only ${links} links were found`);
    assert.deepEqual(broken, []);
  });

  it("are all in the index, and README.md has at most 900 words", () => {
    const index = read("docs/README.md");
    for (const page of find("docs", /\.md$/).filter((path) => path !== join("docs", "README.md")))
      assert.ok(index.includes(`](${page.slice("docs/".length)})`), `docs/README.md does not name ${page}`);
    const words = read("README.md").trim().split(/\s+/).length;
    assert.ok(words <= 900, `README.md has ${words} words`);
  });

  it("name npm scripts, benchmarks and files that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const missing: string[] = [];
    for (const page of pages.filter((path) => path !== "CHANGELOG.md")) {
      for (const [, name] of read(page).matchAll(/npm run ([a-z][\w:-]*)/g))
        if (!Object.hasOwn(scripts, name!)) missing.push(`${page}: npm run ${name}`);
      for (const [, names] of read(page).matchAll(/npm run bench -- --cases ([\w,]+)/g))
        for (const name of names!.split(","))
          if (!existsSync(join(packageRoot, "bench", "cases", `${name}.ts`)))
            missing.push(`${page}: bench case ${name}`);
      for (const [, file] of read(page).matchAll(
        /(?:npx tsx|npx mocha|node|python3) ((?:[\w-]+\/)+[\w.-]+)/g,
      ))
        if (!existsSync(join(packageRoot, file!))) missing.push(`${page}: ${file}`);
      // Files of the sources by their path from the top, or from lib/ and native/.
      for (const [, file] of read(page).matchAll(
        /`((?:lib|native|scripts|test|examples|bench|models|schema|cmake)\/[\w./-]*\w)`/g,
      ))
        if (!existsSync(join(packageRoot, file!))) missing.push(`${page}: ${file}`);
    }
    assert.deepEqual(missing, []);
  });

  it("draw the house in CONTRIBUTING.md: every room of lib/, each above those that it imports", () => {
    const page = read("CONTRIBUTING.md");
    const table = (from: string, to: string): string[] =>
      [...page.slice(page.indexOf(from), page.indexOf(to)).matchAll(/^\| `(\w+)`/gm)].map(
        ([, room]) => room!,
      );
    const folders = (of: string): string[] =>
      readdirSync(join(packageRoot, of), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== "tests")
        .map(({ name }) => name);
    const rooms = table("## The house", "`native/` is the addon");
    assert.deepEqual(rooms.toSorted(), folders("lib").sort());
    assert.deepEqual(table("`native/` is the addon", "## Rules").sort(), folders("native").sort());
    const up: string[] = [];
    for (const room of rooms)
      for (const file of find(join("lib", room), /\.ts$/, true))
        for (const [, path] of read(file).matchAll(/from "(\.[^"]+)"/g)) {
          const to = relative(join(packageRoot, "lib"), resolve(packageRoot, dirname(file), path!)).split(
            /[/\\]/,
          )[0]!;
          if (rooms.indexOf(to) < rooms.indexOf(room)) up.push(`${file}: ${path}`);
        }
    assert.deepEqual(up, []);
  });

  it("show commands of tr0n, with options, that exist", async () => {
    const help = new Map<string, string>();
    const unknown: string[] = [];
    let seen = 0;
    for (const page of pages)
      for (const command of blocks(page, "sh").flatMap(commands)) {
        const words = command.replaceAll(/"[^"]*"/g, '""').match(/^(?:npx )?tr0n (\w+)(.*)$/);
        if (!words) continue;
        seen++;
        const [, name, rest] = words as unknown as [string, string, string];
        if (!help.has(name)) {
          const { code, out } = await tr0n([name, "--help"]);
          help.set(name, code === 0 ? out : "");
        }
        const options = rest.match(/(?<=\s)--?[a-z][\w-]*/g) ?? [];
        if (help.get(name) === "") unknown.push(`${page}: tr0n ${name}`);
        else
          for (const option of options)
            if (!new RegExp(`(^|[ ,])${option}[ ,]`, "m").test(help.get(name)!))
              unknown.push(`${page}: tr0n ${name} ${option}`);
      }
    assert.ok(seen > 10, `only ${seen} commands were found`);
    assert.deepEqual(unknown, []);
  });

  it("show every command of tr0n on docs/command-line.md", async () => {
    const { out } = await tr0n(["--help"]);
    const names = [...out.matchAll(/^ {2}([a-z]+) {2,}[A-Z]/gm)].map(([, name]) => name!);
    assert.ok(names.length >= 10);
    const shown = blocks("docs/command-line.md", "sh").join("\n");
    for (const name of names) assert.ok(shown.includes(`npx tr0n ${name}`), name);
  });

  it("explain every error code on docs/services.md", () => {
    const codes = new Set(read("lib/base/errors.ts").match(/(?<=\| ")ERR_\w+(?=")/g));
    assert.ok(codes.size > 15);
    const rows = new Set(
      [...read("docs/services.md").matchAll(/^\| `(ERR_\w+)` +\| \S/gm)].map(([, code]) => code!),
    );
    assert.deepEqual([...rows].sort(), [...codes].sort());
  });

  it("explain every environment variable on docs/installing.md", () => {
    // Those of the emulator, which only tests use, are explained beside it.
    const sources = ["lib", "native", "cmake"]
      .flatMap((folder) => find(folder, /\.(ts|h|cpp|cmake)$/, true))
      .filter((file) => !/^native[/\\](emulator|selftest)|[/\\]tests[/\\]/.test(file));
    const variables = new Set(
      [...sources, "scripts/install.mjs", "scripts/build-torchscript.mjs"].flatMap((file) =>
        [...read(file).matchAll(/(?:process\.env(?:\[")?\.?|getenv\("|ENV\{)(TR0N_\w+)/g)].map(
          ([, name]) => name!,
        ),
      ),
    );
    assert.ok(variables.size >= 8, [...variables].join());
    const page = read("docs/installing.md");
    assert.deepEqual(
      [...variables].filter((name) => !page.includes(`| \`${name}\` `)),
      [],
    );
  });

  it("show code that compiles", function () {
    this.timeout(60_000);
    const sources = new Map<string, string>();
    for (const page of pages)
      blocks(page, "ts").forEach((code, i) => {
        // Each block is a module of its own beside the library's sources.
        const name = join(packageRoot, `${page.replaceAll(/\W/g, "-")}-${i + 1}.ts`);
        sources.set(name, `${code.replaceAll('from "tr0n"', 'from "./lib/index.js"')}\nexport {};\n`);
      });
    assert.ok(sources.size >= 5);
    const { config } = ts.readConfigFile(join(packageRoot, "tsconfig.json"), (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, packageRoot);
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists, readFile } = host;
    host.fileExists = (path) => sources.has(path) || fileExists(path);
    host.readFile = (path) => sources.get(path) ?? readFile(path);
    host.getSourceFile = (path, version, ...rest) => {
      const text = sources.get(path);
      return text === undefined
        ? getSourceFile(path, version, ...rest)
        : ts.createSourceFile(path, text, version);
    };
    const program = ts.createProgram(
      [...sources.keys()],
      { ...options, noEmit: true, noUnusedLocals: false },
      host,
    );
    const wrong = [...sources.keys()].flatMap((path) => {
      const file = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
        ({ messageText }) =>
          `${relative(packageRoot, path)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
      );
    });
    assert.deepEqual(wrong, []);
  });

  it("have the formulas that comments refer to", () => {
    const headings = new Set(
      [...read("docs/method.md").matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!),
    );
    const cited = new Map<string, string>();
    const sources = ["lib", "native", "scripts", "bench"].flatMap((folder) =>
      find(folder, /\.(ts|h|cpp|cuh?|py)$/, true),
    );
    for (const file of sources)
      for (const [, heading] of read(file).matchAll(/method\.md,? "([^"]+)"/g)) cited.set(heading!, file);
    assert.ok(cited.size >= 5);
    for (const [heading, file] of cited)
      assert.ok(headings.has(heading), `${file} cites "${heading}" of method.md`);
  });
});
