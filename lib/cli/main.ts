#!/usr/bin/env node
/** The program `tr0n`. */
import { cli } from "./cli.js";

// `tr0n … | head` closes our output early: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

void cli(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  terminal: process.stderr.isTTY === true,
  signals: process,
  exit: (code) => process.exit(code),
}).then((code) => {
  process.exitCode = code;
});
