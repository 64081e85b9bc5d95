/** All shape rules. An operator without one has outputs of unknown shape, which is always allowed. */
import "./constants.js";
import "./control.js";
import "./elementwise.js";
import "./fourier.js";
import "./loss.js";
import "./matmul.js";
import "./movement.js";
import "./quantize.js";
import "./recurrent.js";
import "./reduce.js";
import "./windows.js";

export { normalAxis, operators } from "./table.js";
