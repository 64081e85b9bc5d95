/**
 * Writes docs/classes.png, the README's picture, from the one that `npm run demo` wrote: the same pixels in at most 256
 * colours, so that the file is small.
 */
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
const { size } = await sharp(path("out/demo/classes.png"))
  .png({ palette: true, colours: 256, dither: 0, effort: 10, compressionLevel: 9 })
  .toFile(path("docs/classes.png"));
process.stdout.write(`docs/classes.png: ${size} bytes\n`);
