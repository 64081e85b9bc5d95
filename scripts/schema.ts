/** Writes schema/tr0n.schema.json, the published form of lib/config/document.ts: `npm run schema`. */
import { writeFile } from "node:fs/promises";
import { format } from "prettier";
import { configSchema } from "../lib/config/document.js";

const file = new URL("../schema/tr0n.schema.json", import.meta.url);
await writeFile(file, await format(JSON.stringify(configSchema()), { parser: "json", printWidth: 110 }));
