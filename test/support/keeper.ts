/** What a test opens and need not close. */
import { loadModel, type Model, type ModelOptions } from "../../lib/index.js";

export interface Keeper {
  /** Will be closed. */
  keep<T extends Disposable>(this: void, item: T): T;
  load(this: void, source: string | Uint8Array, options?: ModelOptions): Promise<Model>;
  /** Closes everything, the last first; for `after` and `afterEach`. */
  closeAll(this: void): void;
}

export function keeper(): Keeper {
  const opened: Disposable[] = [];
  const keep = <T extends Disposable>(item: T): T => (opened.push(item), item);
  return {
    keep,
    load: async (source, options) => keep(await loadModel(source, options)),
    closeAll() {
      for (const item of opened.splice(0).reverse()) item[Symbol.dispose]();
    },
  };
}
