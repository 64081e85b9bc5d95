/** What a test opens and need not close. */
import { loadModel, type Model, type ModelOptions } from "../../lib/index.js";

export interface Keeper {
  /** Will be closed. */
  keep<T extends Disposable>(this: void, item: T): T;
  load(this: void, bytes: Uint8Array, options?: ModelOptions): Promise<Model>;
  /** Closes everything, the last first; for `afterEach`. */
  closeAll(this: void): void;
}

export function keeper(): Keeper {
  const opened: Disposable[] = [];
  const keep = <T extends Disposable>(item: T): T => (opened.push(item), item);
  return {
    keep,
    load: async (bytes, options) => keep(await loadModel(bytes, options)),
    closeAll() {
      for (const item of opened.splice(0).reverse()) item[Symbol.dispose]();
    },
  };
}
