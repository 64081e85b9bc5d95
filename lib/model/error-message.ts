/** Errors between threads: a copy has no class, and no code. */
import { Tr0nError, type Tr0nErrorCode } from "../base/errors.js";
import { toTr0nError } from "../native/job.js";
import { ElsewhereError, LimitError } from "../onnx/index.js";

/** `copy` is for what is none of tr0n's errors: a defect, whose stack says where it is. */
export type ErrorMessage =
  | {
      readonly code: Tr0nErrorCode;
      readonly message: string;
      readonly limit: boolean;
      readonly cause: unknown;
    }
  | { readonly copy: unknown }
  | "elsewhere";

export function errorMessage(error: unknown): ErrorMessage {
  if (error instanceof ElsewhereError) return "elsewhere";
  if (!(error instanceof Tr0nError)) return { copy: copied(error) };
  const { code, message, cause } = error;
  return { code, message, limit: error instanceof LimitError, cause: cause && errorMessage(cause) };
}

/** The error again, of the same class; null for "elsewhere". */
export function revived(message: ErrorMessage): unknown {
  if (message === "elsewhere") return null;
  if ("copy" in message) return message.copy;
  const { code, limit } = message;
  const error: Tr0nError = limit
    ? new LimitError(message.message)
    : code === "ERR_INTERNAL"
      ? new Tr0nError(code, message.message)
      : toTr0nError(Object.assign(new Error(message.message), { code }));
  if (message.cause)
    Object.defineProperty(error, "cause", {
      value: revived(message.cause as ErrorMessage),
      configurable: true,
      writable: true,
    });
  return error;
}

function copied(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return new Error(value instanceof Error ? value.message : String(value));
  }
}
