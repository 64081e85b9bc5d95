/** The one walker of shapes: what callers and configuration files give, checked, copied, and with its defaults. */
import { ArgumentError, describe, invalid } from "../base/errors.js";
import {
  isDerived,
  resolved,
  type Checked,
  type Form,
  type FileTypeOf,
  type Mode,
  type ObjectShape,
  type Option,
  type Shape,
} from "./describe.js";
import { expected } from "./words.js";

/** How messages speak of an object. */
interface Naming {
  /** What messages call the object. */
  readonly name: string;
  /** What stands before the names of its members. Default nothing. */
  readonly prefix?: string;
}

interface Walk {
  /** Whether members that are left out get their defaults, and rules are checked. */
  readonly fill: boolean;
  /** A configuration file: forms that a file has, and paths that are resolved. */
  readonly file: ((path: string) => string) | null;
}

const filling: Walk = { fill: true, file: null };

/**
 * An options object with its defaults; undefined is an empty one. Unknown names are refused: a misspelt option must not be
 * ignored. Lists and objects are copied, so that what the caller changes later changes nothing here.
 *
 * @throws ArgumentError naming the option, what was expected and what came; what checks by hand throw
 */
export function check<S extends ObjectShape>(
  shape: S,
  value: unknown,
  { name, prefix = "" }: Naming,
): Checked<S> {
  return members(shape, value === undefined ? {} : value, name, prefix, filling) as Checked<S>;
}

/** One value. @throws as check() */
export function checkValue<S extends Shape>(shape: S, value: unknown, name: string): Checked<S> {
  return walk(shape, value, name, filling) as Checked<S>;
}

/** One option's value, or its default. @throws as check() */
export function checkOption<T, M extends Mode>(
  of: Option<T, unknown, M>,
  value: unknown,
  name: string,
): M extends "open" ? T | undefined : T;
export function checkOption(of: Option, value: unknown, name: string): unknown {
  if (value !== undefined || of.mode === "required") return walk(of.shape, value, name, filling);
  return isDerived(of.default) ? of.default.from({} as never) : of.default;
}

/**
 * What a configuration file has: as it says it, without defaults, with its paths mapped by `resolve`. `at` is its place
 * in the file, "" for the whole.
 *
 * @throws as check()
 */
export function checkFile<S extends Shape>(
  shape: S,
  value: unknown,
  resolve: (path: string) => string = (path) => path,
  at = "",
): FileTypeOf<S> {
  return walk(shape, value, at, { fill: false, file: resolve }) as FileTypeOf<S>;
}

function walk(shape: Shape, value: unknown, name: string, how: Walk): unknown {
  const { form } = shape;
  switch (form.is) {
    case "named":
      return walk(form.shape(), value, name, how);
    case "byHand":
      if (!how.file) return form.check(name, value) ?? value;
      return walk(form.file!, value, name, how);
    case "either":
      return walk(chosen(form.of, value, name, shape, how), value, name, how);
    case "object":
      return members(shape as ObjectShape, value, name, name === "" ? "" : `${name}.`, how);
    case "record":
      if (!isObject(value)) throw refused(shape, value, name);
      return fromEntries(
        Object.entries(value).map(([key, item]) => [key, walk(form.values, item, `${name}.${key}`, how)]),
      );
    case "list": {
      if (!isList(value)) throw refused(shape, value, name);
      if (form.words !== undefined && (value.length < form.least || value.length > form.most))
        throw refused(shape, value, name);
      if (value.length < form.least)
        throw invalid(name, `at least ${form.least} of them`, value.length === 0 ? undefined : value);
      if (value.length > form.most) throw refused(shape, value, name);
      return Array.from(value, (item, i) => walk(form.items, item, `${name}[${i}]`, how));
    }
    case "path":
      if (!fits(form, value)) throw refused(shape, value, name);
      return how.file ? how.file(value as string) : value;
    default:
      if (!fits(form, value)) throw refused(shape, value, name);
      return value;
  }
}

/** Whether a value that has no parts is as it must be. */
function fits(form: Form, value: unknown): boolean {
  switch (form.is) {
    case "number":
      return (
        (form.whole ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
        (value as number) >= (form.min ?? -Infinity) &&
        (value as number) <= (form.max ?? Infinity) &&
        (value as number) > (form.above ?? -Infinity) &&
        (value as number) < (form.below ?? Infinity)
      );
    case "boolean":
      return typeof value === "boolean";
    case "null":
      return value === null;
    case "text":
      return typeof value === "string" && value !== "" && (form.pattern?.test(value) ?? true);
    case "path":
      return typeof value === "string" && value !== "" && !value.includes("\0");
    case "words":
      return form.words.includes(value as string);
    case "constant":
      return value === form.value;
    default:
      return false;
  }
}

function members(
  shape: ObjectShape,
  value: unknown,
  name: string,
  prefix: string,
  how: Walk,
): Record<string, unknown> {
  const { properties, rules } = shape.form;
  const at = (message: string): ArgumentError =>
    new ArgumentError(name === "" ? message : `${name}: ${message}`);
  if (!isObject(value)) throw refused(shape, value, name);
  const known = Object.keys(properties).filter((key) => !how.file || inFile(properties[key]!));
  const what = how.file ? "key" : "option";
  for (const key of Object.keys(value))
    if (!known.includes(key))
      throw at(`unknown ${what} ${describe(key)}; known are ${known.join(", ") || "none"}`);
  const checked: Record<string, unknown> = {};
  for (const key of known) {
    const { mode, shape: own } = properties[key]!;
    const given = value[key];
    if (given !== undefined) checked[key] = walk(own, given, `${prefix}${key}`, how);
    else if (mode === "required") {
      if (how.file) throw at(`expected the key ${describe(key)}, which is missing`);
      checked[key] = walk(own, given, `${prefix}${key}`, how);
    }
  }
  if (!how.fill) return checked;
  const given = { ...checked };
  // Defaults that depend on nothing, then those that depend on these.
  for (const derived of [false, true])
    for (const key of known) {
      const { default: fallback } = properties[key]!;
      if (checked[key] !== undefined || fallback === undefined || isDerived(fallback) !== derived) continue;
      checked[key] = isDerived(fallback) ? fallback.from(checked as never) : fallback;
    }
  for (const rule of rules) rule(checked, (member) => `${prefix}${member}`, given);
  return checked;
}

/** Whether a configuration file can have it. */
export function inFile({ shape, file }: Option): boolean {
  return file === undefined && (shape.form.is !== "byHand" || shape.form.file !== undefined);
}

function refused(shape: Shape, value: unknown, name: string): ArgumentError {
  if (name === "") return new ArgumentError(`expected ${expected(shape)}, got ${describe(value)}`);
  return invalid(name, expected(shape), value);
}

/** The alternative that is meant. */
function chosen(of: readonly Shape[], value: unknown, name: string, whole: Shape, how: Walk): Shape {
  const leaves = alternatives(of);
  const typed = leaves.filter((one) => hasType(one, value, how));
  const meant = typed.length > 1 ? typed.filter((one) => isMeant(one, value, how)) : typed;
  if (meant.length === 1) return meant[0]!;
  // What is checked by hand says best what was expected.
  const hand = how.file ? [] : leaves.filter(({ form }) => form.is === "byHand");
  if (meant.length === 0 && hand.length === 1) return hand[0]!;
  const kinds = leaves.map(kindOf);
  if (kinds.every((kind) => kind !== undefined) && isObject(value))
    throw invalid(`${name}.kind`, `one of ${kinds.map(describe).join(", ")}`, value["kind"]);
  throw refused(whole, value, name);
}

/** Alternatives, and those of alternatives. */
function alternatives(of: readonly Shape[]): Shape[] {
  return of.map(resolved).flatMap((one) => (one.form.is === "either" ? alternatives(one.form.of) : [one]));
}

/** The value of `kind` by which an object is told apart. */
function kindOf(shape: Shape): unknown {
  const { form } = resolved(shape);
  const kind = form.is === "object" ? form.properties["kind"]?.shape.form : undefined;
  return kind?.is === "constant" ? kind.value : undefined;
}

/** Whether the value's JSON type is that of the shape. */
function hasType(shape: Shape, value: unknown, how: Walk): boolean {
  const { form } = resolved(shape);
  switch (form.is) {
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "null":
      return value === null;
    case "text":
    case "path":
    case "words":
      return typeof value === "string";
    case "constant":
      return value === form.value;
    case "list":
      return isList(value);
    case "record":
    case "object":
      return isObject(value);
    case "byHand":
      return how.file ? hasType(form.file!, value, how) : typeof value === "function" || isObject(value);
    case "either":
    case "named":
      return alternatives([shape]).some((one) => hasType(one, value, how));
  }
}

/** Which of several alternatives of one type is meant: that with the value's `kind`, a required key or an item of its. */
function isMeant(shape: Shape, value: unknown, how: Walk): boolean {
  const { form } = resolved(shape);
  if (form.is === "list") return isList(value) && hasType(form.items, value[0], how);
  if (form.is === "words") return form.words.includes(value as string);
  if (form.is !== "object" || !isObject(value)) return true;
  const kind = kindOf(shape);
  if (kind !== undefined) return value["kind"] === kind;
  const needed = Object.entries(form.properties).filter(([, { mode }]) => mode === "required");
  return needed.length === 0 || needed.some(([key]) => Object.hasOwn(value, key));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !isList(value);
}

/** Typed arrays are lists of numbers. */
function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** Object.fromEntries, with "__proto__" as a name like any other. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const [key, value] of entries)
    Object.defineProperty(made, key, { value, enumerable: true, configurable: true, writable: true });
  return made;
}
