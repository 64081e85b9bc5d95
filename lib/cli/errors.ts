import { Tr0nError } from "../base/errors.js";

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
  readonly code = "ERR_USAGE";
  /** The command whose --help tells more; none for the program itself. */
  readonly command: string | undefined;
  constructor(message: string, command?: string) {
    super(message);
    this.name = "UsageError";
    this.command = command;
  }
}

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

/** Code and one-line message of anything that was thrown. */
export function explain(error: unknown): { code: string; message: string } {
  if (error instanceof UsageError) {
    const help = error.command ? `tr0n ${error.command} --help` : "tr0n --help";
    return { code: error.code, message: `${oneLine(error.message)} (see ${help})` };
  }
  if (error instanceof Tr0nError)
    return { code: error.code, message: oneLine(error.message + onTheLine(error.message)) };
  const { message, code } = error as NodeJS.ErrnoException;
  // Anything else is a defect: every error that a user can cause is one of the two above.
  return {
    code: "ERR_INTERNAL",
    message: oneLine(code ? `${code}: ${message}` : (message ?? String(error))),
  };
}

/** What the library's code comes to on a command line. */
function onTheLine(message: string): string {
  const latent = /latent\.product\(\{ (.+?) \}\)/.exec(message)?.[1];
  const inputs = /\{ inputs: \{ (.+?) \} \}/.exec(message)?.[1];
  const role = /^encoder/.test(message) ? "encoder" : "generator";
  const flags = [
    ...(latent
      ? [
          `--latent ${latent
            .replaceAll(": latent.", "=")
            .replaceAll(/\((\d+)\)/g, ":$1")
            .replaceAll(", ", ",")}`,
        ]
      : []),
    ...(inputs
      ? [
          inputs
            .split(", ")
            .map((part) => `--${role}-input ${part.replaceAll('"', "").replace(": ", "=")}`)
            .join(" "),
        ]
      : []),
  ];
  return flags.length > 0 ? ` (on the command line: ${flags.join(", ")})` : "";
}

function oneLine(text: string): string {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .join(" | ");
}
