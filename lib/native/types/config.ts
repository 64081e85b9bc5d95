/**
 * A field of a configuration that native code reads and checks, as it describes it itself. Lists (`groups`, `noiseCovariance`,
 * `elements`) are not among them.
 */
export interface NativeConfigField {
  struct: "translator" | "trainer" | "sampler" | "updateGroup" | "prior";
  name: string;
  /** "seed": a bigint of 64 bits. */
  type: "boolean" | "choice" | "integer" | "number" | "seed";
  required: boolean;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  /** A value outside of the limits that leaves the choice to native code. */
  automatic?: number;
  /** Of a choice. */
  choices?: string[];
  unit?: string;
  /** Of a field that is not required. */
  default?: boolean | number | string;
}
