/** What a provider has kernels for. Made by a script that the table's file names. */
export interface KernelTable {
  /** What the table is of. */
  readonly of: string;
  /** Operators by the operator sets of a model in which they run: "18-21" → names. */
  readonly operators: Readonly<Record<string, string>>;
}
